"""Parts of the service that need no voice: whose turn it is, what systemd is told, inherited sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from serve.running import LIMIT_SECONDS

from edgevoice.serve import jobs
from edgevoice.serve.connection import Connection, Gone
from edgevoice.serve.jobs import AHEAD_SECONDS, Jobs
from edgevoice.serve.notify import Supervisor


@dataclass
class Peer:
    full: bool = False


@dataclass
class Waiting:
    """A job that has so many seconds of sound in hand."""

    seconds: float
    connection: Peer

    def ahead(self, now: float) -> float:
        return self.seconds


def turn(*rows: tuple[float, bool]) -> int | None:
    """Whose turn it is of jobs with (seconds in hand, takes no more)."""
    waiting = Jobs()
    made = [Waiting(seconds, Peer(full)) for seconds, full in rows]
    for job in made:
        waiting.add(job)  # type: ignore[arg-type]
    chosen: Any = waiting.next()
    return next((number for number, job in enumerate(made) if job is chosen), None)


def test_the_earliest_is_served_until_it_has_enough_in_hand() -> None:
    enough = AHEAD_SECONDS
    assert turn() is None
    assert turn((0, False), (0, False)) == 0
    assert turn((enough, False), (0, False)) == 1
    assert turn((0, True), (enough, False)) == 1
    assert turn((enough + 2, False), (enough + 1, False)) == 1
    assert turn((0, True), (0, True)) is None


def test_a_connection_takes_one_line_and_minds_its_end() -> None:
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    assert not connection.read()
    theirs.sendall(b'{"text": ')
    assert not connection.read()
    theirs.sendall(b'"Hi."}\nand more')
    assert connection.read()
    assert connection.line == b'{"text": "Hi."}'
    assert connection.user() == os.getuid()
    theirs.sendall(b"and more\n")
    assert not connection.read()
    connection.send([b"x" * (4 << 20)])
    assert connection.full
    theirs.close()
    with pytest.raises(Gone):
        connection.send([b"x"])
    connection.close()


def test_supervisor_speaks_only_where_one_listens(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.settimeout(LIMIT_SECONDS)
    name = f"edgevoice-parts-{os.getpid()}"
    listener.bind("\0" + name)
    told = Supervisor({"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "3000000"})
    told.ready("speaks")
    assert listener.recv(4096) == b"READY=1\nSTATUS=speaks"
    for _ in range(50):  # more than the queue holds: never stuck
        told.alive()
    assert told.watchdog_seconds == 1.5
    listener.close()
    told.ready("gone")
    for environment in ({}, {"NOTIFY_SOCKET": "relative"}, {"NOTIFY_SOCKET": str(tmp_path / "none")}):
        Supervisor(environment).ready("speaks")


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid() + 1)}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_its_time(environment: dict[str, str], seconds: float | None) -> None:
    assert Supervisor(environment).watchdog_seconds == seconds


INHERIT = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
os.dup2(listener.fileno(), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
from pathlib import Path
from edgevoice.serve.listener import listening
with listening(Path(sys.argv[2])) as given:
    assert given.socket.fileno() == 3 and not os.get_inheritable(3)
    assert given.socket.getsockname() == sys.argv[1]
assert os.path.exists(sys.argv[1]) and not os.path.exists(sys.argv[2])
"""


def test_a_socket_that_systemd_made_is_used_and_left(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", INHERIT, "given.sock", "none.sock"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(Path(jobs.__file__).parents[2])},
    )
    assert ran.returncode == 0, ran.stderr
