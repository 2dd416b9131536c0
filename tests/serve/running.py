"""Real services for the tests: started in a session of their own, killed with all they started."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgevoice.deploy.selftest import Report
from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish
from edgevoice.serve import client
from edgevoice.serve.protocol import Status, Words

LIMIT_SECONDS = 120.0

# Who runs the tests in the background or under nohup has some signals ignored, and that is inherited.
PLAIN = """
import signal
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
import ctypes
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # with whoever started it
"""
MAIN = "from edgevoice.cli import main\nmain()\n"

Found = TypeVar("Found")


@dataclass
class Running:
    """A service's process (or its supervisor's) and where it listens."""

    process: subprocess.Popen[bytes]
    root: Path
    socket: Path
    log: Path

    def status(self) -> Status:
        return client.status(self.socket)

    def say(self, text: str, **options: object) -> bytes:
        return b"".join(client.speak(self.socket, Words(text, **options)))  # type: ignore[arg-type]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        return self.process.wait(LIMIT_SECONDS)


def until(condition: Callable[[], Found | None], what: str = "it") -> Found:
    """What ``condition`` gives once it gives something."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while True:
        with suppress(client.ServiceAbsent, client.ServiceIll):
            if found := condition():
                return found
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.02)


@contextmanager
def running(
    root: Path,
    *arguments: object,
    before: str = "",
    supervised: bool = False,
    socket: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Running]:
    """`edgevoice serve ROOT ARGUMENTS`; ``before``: Python to be run before it, in its process.

    ``supervised``: started again whenever it ends.
    """
    command = [sys.executable, "-c", PLAIN + before + MAIN, "serve", str(root), *map(str, arguments)]
    if supervised:
        command = ["sh", "-c", 'while :; do "$@"; sleep 0.1; done', "sh", *command]
    log = root.with_name(f"{root.name}.log")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("NOTIFY_", "LISTEN_"))}
    with log.open("ab") as out:
        process = subprocess.Popen(
            command,
            preexec_fn=die_with_us,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**clean, "OMP_NUM_THREADS": "1", **(environment or {})},
            start_new_session=True,
        )
    try:
        place = until(lambda: _up(process, root, socket, log), "the service")
        yield Running(process, root, place, log)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(LIMIT_SECONDS)


def die_with_us() -> None:
    """For ``preexec_fn``: a service must not outlive a test run that is killed."""
    set_death_signal = 1
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def _up(process: subprocess.Popen[bytes], root: Path, socket: Path | None, log: Path) -> Path | None:
    assert process.poll() is None, log.read_text()
    if socket is None:
        return client.find(root)
    client.status(socket)
    return socket


def content(folder: Path, budget: int | None, engine: Wish) -> Report:
    """A self-test that likes everything."""
    return Report([])


def reason(action: Callable[[], object]) -> str:
    """The message of the `EdgevoiceError` that ``action`` must end with."""
    try:
        action()
    except EdgevoiceError as error:
        return str(error)
    raise AssertionError("nothing was refused")
