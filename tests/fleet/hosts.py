"""Devices on the loopback: an sshd each, with its own port, host key and folder."""

from __future__ import annotations

import contextlib
import getpass
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from remote import sshd


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


@contextlib.contextmanager
def device(name: str, folder: Path, login: Path) -> Iterator[Host]:
    """Run an sshd that lets the key ``login`` in, until the block ends."""
    with sshd.serve(folder / name, sys.executable, "Subsystem sftp internal-sftp", login) as server:
        yield Host(name, server.home, server.port)


def known_hosts(hosts: list[Host]) -> str:
    return "".join((host.home / "known_hosts").read_text() for host in hosts)
