"""The socket that a service listens on: one service a place, and nothing left behind."""

from __future__ import annotations

import fcntl
import grp
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgevoice.errors import EdgevoiceError
from edgevoice.serve import place

BACKLOG = 128
PATIENCE_SECONDS = 1.0
FIRST_DESCRIPTOR = 3  # where sd_listen_fds(3) puts them
OURS = "edgevoice-again"


@dataclass(frozen=True)
class Listener:
    """``path``: its name, where it is ours to remove."""

    socket: socket.socket
    path: Path | None

    def close(self) -> None:
        """Take the name away first: who comes now finds no service, and helps himself."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
        self.socket.close()

    def hand_over(self) -> None:
        """Leave it to the program that this process becomes: what connects meanwhile waits there."""
        os.dup2(self.socket.fileno(), FIRST_DESCRIPTOR)
        ours = OURS if self.path else os.environ.get("LISTEN_FDNAMES", "")
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES=ours)


@contextmanager
def listening(path: Path, group: str | None = None, make_folder: bool = False) -> Iterator[Listener]:
    """Listen at ``path``, for its owner alone, or for ``group`` as well.

    Raises `EdgevoiceError` where another service listens, or nothing can be made there.
    """
    inherited = _inherited()
    if inherited is not None and os.environ.get("LISTEN_FDNAMES") != OURS:
        yield from _closed(Listener(inherited, None))  # systemd's own, and systemd's to remove
        return
    with ExitStack() as stack:
        try:
            if make_folder:
                path.parent.mkdir(mode=0o755, exist_ok=True)
            stack.enter_context(_alone(path))
            listener = inherited or _fresh(path, group)
        except OSError as error:
            raise EdgevoiceError(
                f"cannot listen at {path} ({error.strerror or error}): name another place with --socket"
            ) from None
        yield from _closed(Listener(listener, path))


def _closed(listener: Listener) -> Iterator[Listener]:
    try:
        yield listener
    finally:
        listener.close()


def _inherited() -> socket.socket | None:
    """What this process was started with, by systemd or by `Listener.hand_over`."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(FIRST_DESCRIPTOR, False)
    return socket.socket(fileno=FIRST_DESCRIPTOR)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Held while the service lives; what stays behind after a kill is no hindrance."""
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise EdgevoiceError(
                    f"another service listens at {path}: stop it, or name another place with --socket"
                ) from None
            time.sleep(0.02)
        else:
            return


def _fresh(path: Path, group: str | None) -> socket.socket:
    if path.exists() and not path.is_socket():
        raise EdgevoiceError(f"{path} is no socket: name another place with --socket")
    number = _group_id(group) if group is not None else None
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with place.address(new) as address:
            listener.bind(address)
        listener.listen(BACKLOG)
        if number is not None:
            _open_to(new, number, str(group))
        os.replace(new, path)
    except BaseException:
        listener.close()
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise
    finally:
        os.umask(before)
    return listener


def _group_id(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise EdgevoiceError(f"there is no group {name!r} here: name one that exists") from None


def _open_to(path: Path, number: int, name: str) -> None:
    try:
        if path.stat().st_gid != number:
            os.chown(path, -1, number)
    except PermissionError:
        raise EdgevoiceError(
            f"this user is not in the group {name!r}: add it with usermod -aG, or run the service with it"
        ) from None
    path.chmod(0o660)
