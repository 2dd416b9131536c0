"""Ed25519 public keys in OpenSSH's one-line form."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from edgevoice.errors import EdgevoiceError

KIND = "ssh-ed25519"
MAKE = "make one with `ssh-keygen -t ed25519 -f KEY`"

_HEADER = b"\0\0\0\x0b" + KIND.encode() + b"\0\0\0\x20"
_LENGTH = len(_HEADER) + 32
_MOST_BYTES = 16_384
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]+")


@dataclass(frozen=True)
class PublicKey:
    """``blob``: the key as it goes over the wire. ``comment``: what its maker wrote, for the eye only."""

    blob: bytes
    comment: str = ""

    @property
    def fingerprint(self) -> str:
        """As ``ssh-keygen -l`` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    @property
    def line(self) -> str:
        return f"{KIND} {base64.b64encode(self.blob).decode()} {self.comment}".rstrip()


def from_blob(blob: bytes) -> PublicKey | None:
    """None for a key of any other kind."""
    return PublicKey(blob) if len(blob) == _LENGTH and blob.startswith(_HEADER) else None


def from_words(kind: str, encoded: str, comment: str = "") -> PublicKey | None:
    try:
        found = from_blob(base64.b64decode(encoded, validate=True)) if kind == KIND else None
    except (binascii.Error, ValueError):
        return None
    return PublicKey(found.blob, _UNPRINTABLE.sub(" ", comment).strip()) if found else None


def read(path: Path) -> PublicKey:
    """The one key in the file ``path``. Raises `EdgevoiceError` for anything else, such as a private key."""
    try:
        with open(path, "rb") as stream:
            raw = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise EdgevoiceError(f"cannot read {path}: {error.strerror}") from None
    return parse(raw, str(path))


def parse(raw: bytes, where: str) -> PublicKey:
    """The one key in ``raw``, which came from ``where``."""
    if b"PRIVATE KEY-----" in raw:
        raise EdgevoiceError(
            f"{where} is a private key, which never leaves the workstation: give the public one, KEY.pub"
        )
    lines = [line for line in raw.decode(errors="replace").splitlines() if line.strip()]
    if len(raw) > _MOST_BYTES or len(lines) != 1:
        raise EdgevoiceError(f"{where} is no file with one public key: give the KEY.pub of an Ed25519 key")
    words = lines[0].split(maxsplit=2)
    if len(words) < 2:
        raise EdgevoiceError(f"{where} holds no public key: give the KEY.pub of an Ed25519 key")
    found = from_words(words[0], words[1], *words[2:])
    if found is None:
        what = (
            f"another kind of key ({words[0]})"
            if words[0].startswith(("ssh-", "ecdsa-", "sk-"))
            else "no public key"
        )
        raise EdgevoiceError(f"{where} holds {what}, not an Ed25519 one: {MAKE}")
    return found
