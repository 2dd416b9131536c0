"""A folder beside the one that it will become, and what killed runs have left of such folders."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SUFFIX = ".staging"
OLD = ".old"
"""Follows a staging folder's name while the older ``target`` lies there, between two renames."""


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """An empty folder on ``target``'s file system; whatever lies there at the end is removed.

    It is locked as long as this process lives, so that another writer leaves it alone.
    """
    clean(target)
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", suffix=SUFFIX, dir=target.parent))
        lock = _lock(folder)
        if folder.exists():  # else another writer took it for a leftover before it was locked
            break
        _unlock(lock)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _unlock(lock)


def clean(target: Path) -> None:
    """Remove what killed writers of ``target`` have left; a ``target`` that one had moved away comes back."""
    ours = re.compile(rf"{re.escape(f'.{target.name}.new-')}[^.]+{re.escape(SUFFIX)}(?:{re.escape(OLD)})?")
    for left in [path for path in target.parent.iterdir() if ours.fullmatch(path.name)]:
        lock = _lock(left)
        if lock is None:
            continue
        if left.suffix == OLD and not target.exists():
            os.rename(left, target)
        else:
            shutil.rmtree(left, ignore_errors=True)
        _unlock(lock)


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the lock; None where another process does or the file system has no locks."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _unlock(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)
