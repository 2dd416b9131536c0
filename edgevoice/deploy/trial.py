"""Whether the deploy that put a release on trial still lives."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from edgevoice.deploy.layout import Folder, on_trial
from edgevoice.deploy.lock import PATIENCE_SECONDS, try_lock
from edgevoice.errors import EdgevoiceError


@contextmanager
def deploying(folder: Folder) -> Iterator[None]:
    """To be held from before a switch on trial until it is committed or gone back from.

    A release on trial while nobody holds this was left by a deploy that died. It is a lock on the folder
    itself: there is nothing to be left behind, and a power cut lets go of it.
    """
    descriptor = os.open(folder.root, os.O_RDONLY | os.O_DIRECTORY)
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while not try_lock(descriptor, fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise EdgevoiceError(f"another deploy into {folder.root} is running: wait until it has ended")
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def abandoned(folder: Folder) -> bool:
    """Whether the current release is on trial and the deploy that began it lives no more."""
    # Asked again, for a deploy commits before it lets go.
    return on_trial(folder) and not _lives(folder) and on_trial(folder)


def _lives(folder: Folder) -> bool:
    descriptor = os.open(folder.root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return not try_lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
