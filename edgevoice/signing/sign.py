"""Sign a bundle on the workstation."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice import bundle
from edgevoice.deploy.layout import is_deployed
from edgevoice.errors import EdgevoiceError
from edgevoice.signing import openssh


@dataclass(frozen=True)
class Signed:
    """``id``: SHA-256 of the signed manifest. ``fingerprint``: of the key."""

    path: Path
    id: str
    serial: int
    fingerprint: str


def sign(path: str | Path, key: str | Path, serial: int | None = None) -> Signed:
    """Check the bundle at ``path``, checksums included, and write its signature beside the manifest.

    ``key``: an Ed25519 private key, or a public one that ssh-agent serves. ``serial``: written into the
    manifest, which gives the bundle another id. Killed at any moment it leaves the bundle signed or unsigned.
    """
    found = bundle.read(path)
    if is_deployed(found.path.resolve().parent.parent):
        raise EdgevoiceError(f"{path} lies in a deployed folder: sign the bundle on the workstation")
    try:
        old = found.file(bundle.MANIFEST).read_bytes()
        new = old if serial in (None, found.manifest.serial) else _with_serial(found, serial or 0)
        signature = openssh.sign(new, Path(key))
        _write(found.path, old, new, signature)
    except OSError as error:
        raise EdgevoiceError(f"cannot sign {path}: {error.strerror or error}") from None
    made, signer = bundle.read(path, verify=False), openssh.signer(signature)
    if made.id != hashlib.sha256(new).hexdigest() or signer is None:
        raise EdgevoiceError(f"{path} changed while it was signed: sign it again")
    return Signed(made.path, made.id, made.manifest.serial, signer.fingerprint)


def _with_serial(found: bundle.Bundle, serial: int) -> bytes:
    new = bundle.encode(msgspec.structs.replace(found.manifest, serial=serial))
    bundle.decode(new, found.path)  # the serial's bounds
    return new


def _write(folder: Path, old: bytes, new: bytes, signature: bytes) -> None:
    if new != old:
        (folder / bundle.SIGNATURE).unlink(missing_ok=True)
        _put(folder / bundle.MANIFEST, new)
    _put(folder / bundle.SIGNATURE, signature)


def _put(path: Path, data: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    try:
        bundle.write_synced(new, data)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    bundle.sync_folder(path.parent)
