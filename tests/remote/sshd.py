"""A real OpenSSH server on the loopback: own settings, own keys, own port, run by whoever runs the tests."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from serve.running import die_with_us

from edgevoice.remote.ssh import Ssh
from edgevoice.remote.target import Host

START_SECONDS = 60

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {home}/host_key
PidFile none
AuthorizedKeysFile {login}.pub
AuthenticationMethods publickey
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PermitRootLogin prohibit-password
MaxStartups 200
{extra}
"""


@dataclass(frozen=True)
class Server:
    """``python``: the interpreter that stands for the device's."""

    home: Path
    port: int
    python: str

    @property
    def options(self) -> tuple[str, ...]:
        return (
            f"UserKnownHostsFile={self.home}/known_hosts",
            "GlobalKnownHostsFile=/dev/null",
            f"IdentityFile={self.home}/user_key",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
        )

    def ssh(self, python: str = "") -> Ssh:
        return Ssh(self.options, self.port, python or self.python)

    def host(self, root: Path) -> Host:
        return Host(f"{getpass.getuser()}@127.0.0.1", str(root))

    def words(self, root: Path) -> list[str]:
        """For the command line: the place and how to reach it."""
        named = [word for option in self.options for word in ("--ssh-option", option)]
        return [
            f"{getpass.getuser()}@127.0.0.1:{root}",
            "--port",
            str(self.port),
            "--python",
            self.python,
            *named,
        ]


def program() -> str:
    found = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
    if found is None or shutil.which("ssh") is None:
        pytest.skip("no sshd here: apt install openssh-server")
    return found


@contextlib.contextmanager
def serve(home: Path, python: str, extra: str = "", login: Path | None = None) -> Iterator[Server]:
    """Run a server until the block ends. ``extra``: lines for its configuration. ``login``: a key."""
    binary, login = program(), login or home / "user_key"
    home.mkdir(parents=True, exist_ok=True)
    for key in (home / "host_key", login):
        make_key(key)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    config = CONFIG.format(port=port, home=home, login=login, extra=extra)
    (home / "config").write_text(config, encoding="utf-8")
    (home / "known_hosts").write_text(
        f"[127.0.0.1]:{port} {(home / 'host_key.pub').read_text()}", encoding="utf-8"
    )
    process = subprocess.Popen(
        [binary, "-D", "-f", str(home / "config"), "-E", str(home / "log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_us,
    )
    try:
        await_banner(process, port, home / "log")
        yield Server(home, port, python)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def make_key(place: Path) -> None:
    if not place.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(place)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_banner(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as probe:
            if probe.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    pytest.fail(f"sshd does not answer: {log.read_text() if log.exists() else 'no log'}")
