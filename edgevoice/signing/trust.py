"""Tell a device which keys it trusts, and which no longer."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgevoice import bundle
from edgevoice.deploy.layout import Folder, current_name, is_deployed, strangers
from edgevoice.deploy.lock import explained, locked
from edgevoice.errors import EdgevoiceError
from edgevoice.signing import openssh
from edgevoice.signing.check import put, signed_by
from edgevoice.signing.public import PublicKey
from edgevoice.signing.ring import Ring, allowed_lines, key_lines, ring_of


@dataclass(frozen=True)
class Change:
    """What a verb did; ``changed`` is false where all was so already."""

    fingerprint: str
    changed: bool
    trusted: int


@dataclass(frozen=True)
class Known:
    """A key that a folder knows."""

    fingerprint: str
    comment: str
    trusted: bool
    line: str


def known(root: str | Path) -> list[Known]:
    """The trusted keys, then the revoked ones."""
    ring = ring_of(_place(root).root)
    if not ring.in_use:
        return []
    rows = [Known(key.fingerprint, key.comment, True, key.line) for key in ring.trusted()]
    return rows + [Known(key.fingerprint, key.comment, False, key.line) for key in ring.revoked_keys()]


def trust(root: str | Path, key: PublicKey, force: bool = False) -> Change:
    """Let ``root`` trust ``key``; with the first key it takes nothing unsigned any more.

    Refused, unless with ``force``, where the release that speaks would then not start again.
    """
    folder = _place(root)
    ring = ring_of(folder.root)
    openssh.check_present()
    with explained(folder), locked(folder):
        keys, revoked = _held(ring)
        if key.blob in {other.blob for other in keys}:
            return Change(key.fingerprint, False, len(keys))
        if key.blob in {other.blob for other in revoked}:
            raise EdgevoiceError(
                f"{key.fingerprint} was revoked on {root}: make another key, or remove it from {ring.revoked}"
            )
        _set(folder, [*keys, key], revoked, force)
        return Change(key.fingerprint, True, len(keys) + 1)


def revoke(root: str | Path, which: PublicKey | str, force: bool = False) -> Change:
    """Let ``root`` never again trust the key ``which``, a key or the beginning of a fingerprint.

    Refused, unless with ``force``, for the only key, and where the release that speaks would not start again.
    """
    folder = _place(root)
    ring = ring_of(folder.root)
    with explained(folder), locked(folder):
        keys, revoked = _held(ring)
        key = _find(which, [*keys, *revoked], root)
        left = [other for other in keys if other.blob != key.blob]
        if len(left) == len(keys):
            return Change(key.fingerprint, False, len(keys))
        if not left and not force:
            raise EdgevoiceError(
                f"{key.fingerprint} is the only key that {root} trusts: trust another first, give --force to "
                f"refuse every bundle, or remove {ring.folder} to take unsigned ones"
            )
        _set(folder, left, [*revoked, key], force)
        return Change(key.fingerprint, True, len(left))


def _place(root: str | Path) -> Folder:
    """A deployed folder, or an empty one that is to become it. Never made here: the name may be mistyped."""
    path = Path(root).absolute()
    if not path.is_dir():
        if "@" in str(root) or ":" in str(root):
            raise EdgevoiceError(
                f"{root} is no folder: a device's keys are trusted on the device, as in "
                "`ssh HOST ROOT/bin/edgevoice keys trust ROOT - < KEY.pub`"
            )
        raise EdgevoiceError(f"{root} is no folder: name the deployed folder, or make an empty one first")
    if not is_deployed(path) and strangers(path):
        raise EdgevoiceError(f"{root} is no deployed folder and holds other things: name the deployed folder")
    return Folder(path)


def _held(ring: Ring) -> tuple[list[PublicKey], list[PublicKey]]:
    """The trusted and the revoked keys; a file that was lost is made anew by `trust`."""
    return ring.trusted() if os.path.lexists(ring.allowed) else [], ring.revoked_keys()


def _find(which: PublicKey | str, keys: list[PublicKey], root: str | Path) -> PublicKey:
    if isinstance(which, PublicKey):
        found = [key for key in keys if key.blob == which.blob]
    else:
        wanted = "SHA256:" + which.removeprefix("SHA256:")
        found = [key for key in keys if key.fingerprint.startswith(wanted)]
    if len(found) != 1:
        name = which.fingerprint if isinstance(which, PublicKey) else repr(which)
        raise EdgevoiceError(f"{name} names {len(found)} keys of {root}: see `edgevoice keys list {root}`")
    return found[0]


def _set(folder: Folder, keys: list[PublicKey], revoked: list[PublicKey], force: bool) -> None:
    """Make the new ring beside the old, look whether what speaks passes it, then put it in place."""
    ring, new = ring_of(folder.root), Ring(folder.staging / "keys")
    new.folder.mkdir(mode=0o755)
    put(new.allowed, allowed_lines(keys), folder.staging)
    if revoked:
        put(new.revoked, key_lines(revoked), folder.staging)
    if not force:
        _refuse_to_mute(folder, ring, new)
    if not ring.in_use:
        _note_what_speaks(folder, new)
        new.folder.chmod(0o755)
        os.rename(new.folder, ring.folder)
        bundle.sync_folder(folder.root)
        return
    if revoked:  # first: a key in both is refused
        os.replace(new.revoked, ring.revoked)
    os.replace(new.allowed, ring.allowed)
    bundle.sync_folder(ring.folder)
    shutil.rmtree(new.folder)


def _refuse_to_mute(folder: Folder, old: Ring, new: Ring) -> None:
    name = current_name(folder)
    if name is None:
        return
    speaks = bundle.read(folder.release(name), verify=False)
    if (not old.in_use or _passes(old, speaks)) and not _passes(new, speaks):
        raise EdgevoiceError(
            f"release {name} speaks in {folder.root} and would not start again, for no key then trusted has "
            "signed it: deploy it signed by one first, or give --force"
        )


def _note_what_speaks(folder: Folder, new: Ring) -> None:
    """What came before the first key counts as seen, if that key has signed it."""
    name = current_name(folder)
    speaks = bundle.read(folder.release(name), verify=False) if name else None
    if speaks and speaks.manifest.serial and _passes(new, speaks):
        put(new.newest, f"{speaks.manifest.serial}\n".encode(), folder.staging)


def _passes(ring: Ring, found: bundle.Bundle) -> bool:
    try:
        signed_by(ring, found)
    except EdgevoiceError:
        return False
    return True
