"""Where a pack is taken apart: ``ROOT/incoming``, on the file system that the release will lie on.

Standard library only: it travels inside packs.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from pathlib import Path
from typing import Iterator  # noqa: UP035 - Python 3.8 reads this too, to be told that it is too old

from edgevoice.pack.reader import PackError

NAME = "incoming"
MARK = "edgevoice.lock"


@contextlib.contextmanager
def work_folder(root: Path, made: bool = False) -> Iterator[Path]:
    """Hold ``ROOT/incoming`` alone; yields an empty folder in it, which is gone afterwards.

    ``root`` is made if it does not exist. If it was made, here or (``made``) just before, and no release came
    into it, it is removed again. Raises `PackError` while another install or update runs.
    """
    made = made or not root.exists()
    place = root / NAME
    descriptor = _alone(place)
    try:
        work = place / "unpacked"
        shutil.rmtree(work, ignore_errors=True)  # what a killed run has left
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
    finally:
        with contextlib.suppress(OSError):  # a download that goes on later stays
            place.rmdir()
            if made and os.listdir(root) == [MARK]:
                (root / MARK).unlink()
            if made:
                root.rmdir()
        os.close(descriptor)


def explain(error: OSError, root: Path) -> str:
    """What the system refused, as a line that says what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk under {root} is full: free some space and try again"
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return (
            f"{error.filename or root} cannot be written ({error.strerror}): run this as the folder's owner"
        )
    return f"{error.filename or root}: {error.strerror or error}"


def _alone(place: Path) -> int:
    while True:
        place.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(place)):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise PackError(f"another install into {place.parent} is running: wait until it ends") from None
        except FileNotFoundError:
            pass  # whoever held it has just removed it
        os.close(descriptor)
