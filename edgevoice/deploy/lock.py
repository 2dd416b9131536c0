"""One deploy at a time, and nothing left behind by one that failed or was killed."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from edgevoice.deploy.layout import Folder, current_name
from edgevoice.errors import EdgevoiceError

# A look at a lock (`status`, a service that asks `trial.abandoned`) holds it for an instant: wait
# that out before calling it a deploy.
PATIENCE_SECONDS = 1.0


@contextmanager
def locked(folder: Folder) -> Iterator[None]:
    """Hold the folder alone, with an empty staging folder that is gone afterwards.

    The folder is made if it does not exist; one that never came to hold a release is removed again.
    """
    made = _make(folder.root)
    try:
        descriptor = _acquire(folder)
    except OSError:
        _remove_if_made(folder, made)
        raise
    try:
        _remove(folder.staging)
        folder.staging.mkdir()
        yield
    finally:
        shutil.rmtree(folder.staging, ignore_errors=True)
        _forget_if_empty(folder, made)
        os.close(descriptor)


@contextmanager
def explained(folder: Folder) -> Iterator[None]:
    """Turn what the system refused into one line that says what to do and what speaks now."""
    try:
        yield
    except OSError as error:
        raise EdgevoiceError(f"{_reason(error, folder)}; {still(folder)}") from None


@contextmanager
def saying_what_speaks(folder: Folder) -> Iterator[None]:
    """Add to what was refused what speaks now."""
    try:
        yield
    except EdgevoiceError as error:
        raise EdgevoiceError(f"{error}; {still(folder)}") from None


def still(folder: Folder) -> str:
    """What speaks now, for the end of an error message."""
    try:
        name = current_name(folder)
    except (OSError, EdgevoiceError):
        name = None
    return f"release {name} still speaks" if name else "no release is installed there yet"


def busy(folder: Folder) -> bool:
    """Whether a deploy holds the folder now."""
    descriptor = os.open(folder.mark, os.O_RDONLY)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _make(root: os.PathLike[str]) -> bool:
    try:
        os.makedirs(root)
    except FileExistsError:
        return False
    return True


def _acquire(folder: Folder) -> int:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        descriptor = os.open(folder.mark, os.O_RDWR | os.O_CREAT, 0o644)
        if try_lock(descriptor, fcntl.LOCK_EX) and _is_still(descriptor, folder.mark):
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise EdgevoiceError(f"another deploy into {folder.root} is running: wait until it has ended")
        time.sleep(0.02)


def try_lock(descriptor: int, kind: int) -> bool:
    """Take the lock of this kind (`fcntl.LOCK_EX`, `fcntl.LOCK_SH`) if it is free, without waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(descriptor: int, path: os.PathLike[str]) -> bool:
    """A failed first deploy removes the lock file: what was locked must be what lies there now."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _remove(staging: os.PathLike[str]) -> None:
    with suppress(FileNotFoundError):
        shutil.rmtree(staging)


def _forget_if_empty(folder: Folder, made: bool) -> None:
    if os.path.lexists(folder.current):
        return
    with suppress(OSError):
        with suppress(FileNotFoundError):
            os.rmdir(folder.releases)
        folder.state.unlink(missing_ok=True)
        if os.listdir(folder.root) != [folder.mark.name]:
            return  # a runtime or trusted keys live here too: the folder stays ours
        folder.mark.unlink()
        _remove_if_made(folder, made)


def _remove_if_made(folder: Folder, made: bool) -> None:
    if made:
        with suppress(OSError):
            os.rmdir(folder.root)


def _reason(error: OSError, folder: Folder) -> str:
    place = error.filename or folder.root
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk under {folder.root} is full: free some space and deploy again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return f"{place} cannot be written ({error.strerror}): choose a folder on a writable file system"
    return f"{place}: {error.strerror or error}"
