"""Whether a deployed folder may take, go back to or start a bundle."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.signing import openssh
from edgevoice.signing.ring import Ring, ring_of


def require(root: Path, found: bundle.Bundle) -> None:
    """Raise `EdgevoiceError` unless a key that ``root`` trusts has signed ``found``; without keys, pass."""
    ring = ring_of(root)
    if ring.in_use:
        signed_by(ring, found)


def signed_by(ring: Ring, found: bundle.Bundle) -> None:
    """Raise `EdgevoiceError` unless a key of ``ring`` has signed ``found``."""
    signature = found.signature
    if signature is None:
        raise EdgevoiceError(
            f"{found.path} is not signed, and {ring.folder.parent} takes only signed bundles: "
            "sign it on the workstation with `edgevoice sign`"
        )
    try:
        message = found.file(bundle.MANIFEST).read_bytes()
    except OSError as error:
        raise EdgevoiceError(f"cannot read {error.filename}: {error.strerror}") from None
    if hashlib.sha256(message).hexdigest() != found.id:
        raise EdgevoiceError(f"{found.path} changes while it is read: try again once it is finished")
    revoked = ring.revoked if ring.revoked_keys() else None
    if not ring.trusted() or not openssh.verify(message, signature, ring.allowed, revoked):
        raise EdgevoiceError(f"{found.path} {_why_not(ring, message, signature)}")


def refuse_older(root: Path, found: bundle.Bundle) -> None:
    """Refuse a lower serial than the newest that ``root`` has had: a good signature can be replayed."""
    ring = ring_of(root)
    if not ring.in_use:
        return
    serial, newest = found.manifest.serial, ring.newest_serial()
    if serial < newest:
        what = f"has serial {serial}" if serial else "has no serial"
        raise EdgevoiceError(
            f"{found.path} {what} and {root} has had {newest}: sign it with `edgevoice sign --serial N`, "
            "or give --allow-older to go back on purpose"
        )


def note_serial(root: Path, serial: int, scratch: Path) -> None:
    """Remember ``serial`` as seen if it is the newest. ``scratch``: a folder on the same file system."""
    ring = ring_of(root)
    if ring.in_use and serial > ring.newest_serial():
        put(ring.newest, f"{serial}\n".encode(), scratch)


def put(path: Path, data: bytes, scratch: Path) -> None:
    """Write a file of ``ROOT/keys`` in one step. Everybody may read it: a service runs as its own user."""
    new = scratch / path.name
    bundle.write_synced(new, data)
    new.chmod(0o644)
    os.replace(new, path)
    bundle.sync_folder(path.parent)


def _why_not(ring: Ring, message: bytes, signature: Path) -> str:
    if signature.stat().st_size > openssh.MOST_BYTES:
        return f"has a {bundle.SIGNATURE} that is none: sign the bundle again"
    signer = openssh.signer(signature.read_bytes())
    if signer is None:
        return f"has a {bundle.SIGNATURE} that is no Ed25519 signature: sign the bundle again"
    if not openssh.valid(message, signature):
        return "was altered after it was signed, or its signature was: copy the bundle again"
    if signer.blob in {key.blob for key in ring.revoked_keys()}:
        return f"is signed by {signer.fingerprint}, which was revoked: sign it with a key that is trusted"
    return (
        f"is signed by {signer.fingerprint}, which {ring.folder} does not trust: "
        "sign it with a key that is, or run `edgevoice keys trust`"
    )
