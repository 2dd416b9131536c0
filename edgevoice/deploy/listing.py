"""What is installed in a deployed folder, and what speaks; writes nothing."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from edgevoice.deploy.layout import (
    Folder,
    checked,
    current_name,
    history,
    installed,
    on_trial,
    open_folder,
    previous_name,
    read_state,
)
from edgevoice.deploy.lock import busy
from edgevoice.errors import EdgevoiceError


@dataclass(frozen=True)
class Release:
    """An installed bundle.

    ``name``: the first 16 digits of its id. ``bytes``: of all its files. ``problem``: why it cannot speak.
    """

    name: str
    path: Path
    voice: str = ""
    bytes: int = 0
    current: bool = False
    previous: bool = False
    on_trial: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Status:
    """``previous``: where a rollback goes. ``deploying``: another process holds the folder now.

    ``left``: releases that stay and did not speak before this one, such as one that a rollback left;
    `rollback --to` goes there.
    """

    root: Path
    current: Release | None
    previous: Release | None
    deploying: bool
    free_bytes: int
    left: tuple[str, ...] = ()


def releases(root: str | Path) -> list[Release]:
    """All installed releases: the current one, those that spoke before it, then those a rollback left."""
    folder = open_folder(root)
    return [describe(folder, name) for name in by_age(folder)]


def status(root: str | Path) -> Status:
    """What speaks in ``root`` and what a rollback would return to."""
    folder = open_folder(root)
    current, previous = current_name(folder), previous_name(folder)
    return Status(
        folder.root,
        describe(folder, current) if current else None,
        describe(folder, previous) if previous else None,
        busy(folder),
        shutil.disk_usage(folder.root).free,
        tuple(name for name in by_age(folder) if name not in history(folder)),
    )


def by_age(folder: Folder) -> list[str]:
    spoke = reversed(history(folder))
    left = reversed(read_state(folder).history)
    there = installed(folder)
    return [name for name in dict.fromkeys([*spoke, *left, *sorted(there)]) if name in there]


def describe(folder: Folder, name: str, verify: bool = False) -> Release:
    """``verify``: compare the checksums too, which reads all of it."""
    current = name == current_name(folder)
    known = Release(
        name,
        folder.release(name),
        current=current,
        previous=name == previous_name(folder),
        on_trial=current and on_trial(folder),
    )
    try:
        found = checked(folder, name, verify)
    except EdgevoiceError as error:
        return replace(known, problem=str(error))
    size = sum(record.bytes for record in found.manifest.files.values())
    return replace(known, voice=found.manifest.voice.name, bytes=size)
