"""Devices on the loopback: an sshd each, with its own port, host key and folder."""

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
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True)
class Host:
    """A device: ``home`` holds what is its own."""

    name: str
    home: Path
    port: int

    def root(self, case: str) -> Path:
        """Where its voice is in a test called ``case``."""
        return self.home / case

    @property
    def command(self) -> Path:
        return self.home / "edgevoice"

    def variables(self, python: str) -> dict[str, object]:
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.port,
            "ansible_user": getpass.getuser(),
            "ansible_python_interpreter": python,
            "ansible_remote_tmp": str(self.home / "ansible"),
            "edgevoice_root": f"{self.home}/{{{{ case }}}}",
            "edgevoice_command": str(self.command),
            "edgevoice_python": python,
            "edgevoice_upload": str(self.home / "upload"),
        }


def find_sshd() -> str | None:
    return shutil.which("sshd") or shutil.which("/usr/sbin/sshd")


@contextlib.contextmanager
def device(name: str, folder: Path, login: Path) -> Iterator[Host]:
    """Run an sshd that lets the key ``login`` in, until the block ends."""
    home = folder / name
    home.mkdir()
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "host_key")]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    host = Host(name, home, _free_port())
    (home / "config").write_text(CONFIG.format(port=host.port, home=home, login=login))
    process = subprocess.Popen(
        [str(find_sshd()), "-D", "-f", str(home / "config"), "-E", str(home / "log")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await_banner(process, host)
        yield host
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=60)


def known_hosts(hosts: list[Host]) -> str:
    rows = [f"[127.0.0.1]:{host.port} {(host.home / 'host_key.pub').read_text()}" for host in hosts]
    return "".join(rows)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_banner(process: subprocess.Popen[bytes], host: Host) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        address = ("127.0.0.1", host.port)
        with contextlib.suppress(OSError), socket.create_connection(address, timeout=5) as probe:
            if probe.recv(4) == b"SSH-":
                return
        time.sleep(0.05)
    log = host.home / "log"
    raise AssertionError(f"sshd does not answer: {log.read_text() if log.exists() else 'no log'}")
