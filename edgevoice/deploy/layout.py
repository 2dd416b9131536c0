"""A deployed folder: the names in it, its state file, and which release speaks.

::

    ROOT/edgevoice.lock        marks the folder as ours; held (flock) while a deploy runs
    ROOT/releases/ID16/        whole, checked bundles; ID16 is the first 16 digits of the bundle's id
    ROOT/current               relative symbolic link to the release that speaks: the only authority
    ROOT/state.json            the order in which releases came to speak; which one is still on trial
    ROOT/staging/              exists only while a deploy runs, or after one was killed
    ROOT/engines/              TensorRT engines, made here: see `edgevoice.runtime.engines.tensorrt`
    ROOT/keys/                 once the folder takes only signed bundles: see `edgevoice.signing`
    ROOT/update.toml           where `edgevoice update` looks: see `edgevoice.update`
    ROOT/incoming/             exists only while a pack is installed, or a download waits to go on

Nothing but `current` decides what speaks, and it changes by one rename. The state is written before that
rename and not at all by a rollback, so its history may go on behind `current`: only the part up to it counts.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.signing.check import require

NAME_DIGITS = 16
HISTORY = 16
AGAIN = "deploy the bundle again"

BESIDE = frozenset({"engines", "incoming", "keys", "update.toml"})
"""What of ours may lie in a folder before its first release does."""

_TARGET = re.compile(r"releases/([0-9a-f]{16})\Z")


class State(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``history``: releases in the order they came to speak. ``trial``: the one not committed yet."""

    schema: int = 1
    history: list[str] = []
    trial: str | None = None


@dataclass(frozen=True)
class Folder:
    """The paths of a deployed folder."""

    root: Path

    @property
    def mark(self) -> Path:
        return self.root / "edgevoice.lock"

    @property
    def releases(self) -> Path:
        return self.root / "releases"

    @property
    def staging(self) -> Path:
        return self.root / "staging"

    @property
    def engines(self) -> Path:
        return self.root / "engines"

    @property
    def current(self) -> Path:
        return self.root / "current"

    @property
    def state(self) -> Path:
        return self.root / "state.json"

    def release(self, name: str) -> Path:
        return self.releases / name


def is_deployed(path: str | Path) -> bool:
    """Whether ``path`` is a deployed folder (and not, say, a bundle)."""
    return Folder(Path(path)).mark.is_file()


def strangers(root: Path) -> list[str]:
    """The names in a folder, deployed or not yet, that are none of ours."""
    return [path.name for path in root.iterdir() if path.name not in BESIDE]


def refuse_place(root: Path) -> None:
    """Refuse what is no place for releases: a file, or a folder with other things in it."""
    if root.exists() and not root.is_dir():
        raise EdgevoiceError(f"{root} is a file: name a folder to deploy into")
    if root.is_dir() and not is_deployed(root) and strangers(root):
        raise EdgevoiceError(f"{root} holds other things: name an empty or new folder to deploy into")


def open_folder(root: str | Path) -> Folder:
    if not is_deployed(root):
        raise EdgevoiceError(f"{root} is no deployed folder: run `edgevoice deploy BUNDLE {root}`")
    return Folder(Path(root).absolute())


def resolve(root: str | Path) -> Path:
    """The folder of the release that speaks: whole (by sizes, not checksums) and, with keys, signed.

    It is the release's own path, not the link: a switch while a voice loads cannot mix two releases.
    Raises `EdgevoiceError` if ``root`` is no deployed folder, has no release, or the release was damaged.
    """
    folder = open_folder(root)
    name = current_name(folder)
    if name is None:
        raise EdgevoiceError(f"{root} has no release yet: run `edgevoice deploy BUNDLE {root}`")
    checked(folder, name, False, mend(folder.root))
    return folder.release(name)


def checked(folder: Folder, name: str, verify: bool, advice: str = AGAIN) -> bundle.Bundle:
    """Read an installed release; it must be the one that its folder's name says and, with keys, signed."""
    try:
        found = bundle.read(folder.release(name), verify)
    except bundle.Damaged as error:
        raise EdgevoiceError(f"{error.fault}: {advice}") from None
    if short(found.id) != name:
        raise EdgevoiceError(f"{folder.release(name)} is not what was installed: {advice}")
    require(folder.root, found)
    return found


def mend(root: Path) -> str:
    """What to do where the release that speaks is damaged."""
    return f"{AGAIN}, or go back with `edgevoice rollback {root}`"


def root_of(path: Path) -> Path | None:
    """The deployed folder that the release in folder ``path`` belongs to."""
    root = path.absolute().parent.parent
    return root if path.absolute().parent == Folder(root).releases and is_deployed(root) else None


def short(identity: str) -> str:
    return identity[:NAME_DIGITS]


def current_name(folder: Folder) -> str | None:
    try:
        target = os.readlink(folder.current)
    except FileNotFoundError:
        return None
    except OSError:
        target = "something that is no link"
    match = _TARGET.match(target)
    if not match:
        raise EdgevoiceError(
            f"{folder.current} points to {target}, not to a release: remove it and deploy again"
        )
    return match[1]


def installed(folder: Folder) -> list[str]:
    """The names of the releases that are there, without order."""
    if not folder.releases.is_dir():
        return []
    return [path.name for path in folder.releases.iterdir() if _TARGET.match(f"releases/{path.name}")]


def read_state(folder: Folder) -> State:
    """The state file; one that is lost or unreadable costs the history, never the voice."""
    try:
        return msgspec.json.decode(folder.state.read_bytes(), type=State)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return State()


def write_state(folder: Folder, state: State) -> None:
    new = folder.staging / folder.state.name
    with open(new, "wb") as stream:
        stream.write(msgspec.json.encode(state) + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(new, folder.state)
    bundle.sync_folder(folder.root)


def history(folder: Folder) -> list[str]:
    """Installed releases in the order they came to speak; the last one is the current one."""
    current = current_name(folder)
    if current is None:
        return []
    names, there = read_state(folder).history, set(installed(folder))
    if current in names:
        names = names[: len(names) - 1 - names[::-1].index(current)]
    return [name for name in names if name in there] + [current]


def previous_name(folder: Folder) -> str | None:
    """The release that a rollback returns to."""
    names = history(folder)
    return next((name for name in reversed(names) if name != names[-1]), None)


def on_trial(folder: Folder) -> bool:
    """Whether the current release was switched to and not committed yet."""
    name = current_name(folder)
    return name is not None and read_state(folder).trial == name


def prepare_switch(folder: Folder, name: str) -> Path:
    """The new link, made in staging; it also shows early whether the file system has links at all."""
    link = folder.staging / f"current.{name}"
    os.symlink(f"{folder.releases.name}/{name}", link)
    return link


def switch(folder: Folder, link: Path) -> None:
    """Let the release that ``link`` points to speak, by one rename."""
    os.replace(link, folder.current)
    bundle.sync_folder(folder.root)
