"""Where a service listens, and how a client finds the one of a deployed folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

SOCKET = "voice.sock"
RUN = Path("/run")

# sockaddr_un holds 108 bytes, the last of them zero.
_LONGEST = 107


def runtime_name(root: str | Path) -> str:
    """The name below /run that belongs to ``root`` alone; a unit's RuntimeDirectory."""
    return f"edgevoice-{hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:8]}"


def beside(root: Path) -> Path:
    return root / "run" / SOCKET


def default(root: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where a service of ``root`` listens unless told otherwise: in systemd's folder for it, or ROOT/run."""
    given = environment.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return Path(given) / SOCKET if given else beside(root)


def candidates(root: str | Path) -> list[Path]:
    """Where a client looks for the service of ``root``."""
    return [beside(Path(root)), RUN / runtime_name(root) / SOCKET]


def mark(root: str | Path) -> str:
    """What tells this folder apart under whatever path it is seen: its device and inode."""
    found = os.stat(root)
    return f"{found.st_dev}:{found.st_ino}"


@contextmanager
def address(path: Path) -> Iterator[str]:
    """``path`` as a socket's address; one that is too long goes by way of its folder's descriptor."""
    if len(os.fsencode(path)) <= _LONGEST:
        yield str(path)
        return
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)
