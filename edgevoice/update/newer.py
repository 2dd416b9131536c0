"""Whether what a source holds is newer than what the device has had, and which of several is the newest."""

from __future__ import annotations

from pathlib import Path

from edgevoice import bundle
from edgevoice.deploy.layout import Folder, current_name, read_state, short
from edgevoice.deploy.trial import abandoned
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.make import SUFFIX
from edgevoice.pack.reader import HEAD, opened
from edgevoice.signing.ring import ring_of


def why_not(folder: Folder, release: str, serial: int) -> str:
    """Why a release (its whole id) is not newer; empty if it is."""
    name, ring = short(release), ring_of(folder.root)
    if name == current_name(folder):
        if abandoned(folder):  # an update that died in its health window: once more
            return ""
        return f"release {name} speaks already"
    newest = ring.newest_serial() if ring.in_use else 0
    if serial < newest:
        return f"it has serial {serial}, and {newest} has been here"
    if name in read_state(folder).history:
        return f"release {name} has been here before and was left"
    return ""


def find(source: Path) -> Path:
    """The bundle or pack at ``source``: itself, or the newest pack in that folder.

    Raises `EdgevoiceError` where there is none, and `PackError` for a pack that is cut or damaged, which must
    not look as if nothing were there.
    """
    if not source.exists():
        raise EdgevoiceError(f"{source} is not there: insert the stick, or mend the source")
    if not source.is_dir() or (source / bundle.MANIFEST).exists():
        return source
    found = {path: _offer(path) for path in sorted(source.iterdir()) if _looks_like_pack(path)}
    if not found:
        raise EdgevoiceError(f"{source} holds no pack and no bundle: put one there, such as voice{SUFFIX}")
    newest = max(serial for serial, _ in found.values())
    best = [path for path, (serial, _) in found.items() if serial == newest]
    if len({found[path] for path in best}) > 1:
        names = ", ".join(path.name for path in best)
        raise EdgevoiceError(
            f"{source} holds {names}, none newer by its serial: leave one, or sign with --serial"
        )
    return best[0]


def _offer(path: Path) -> tuple[int, str]:
    with opened(path) as pack:
        return pack.index["serial"], pack.index["release"]


def _looks_like_pack(path: Path) -> bool:
    """By its name or its beginning: a pack that was cut is one all the same."""
    if path.name.startswith(".") or not path.is_file():
        return False
    with open(path, "rb") as stream:
        return path.suffix == SUFFIX or stream.read(len(HEAD)) == HEAD
