"""The two things that ``ssh-keygen -Y`` does for us: sign bytes, and say whether a signature is good.

It reads pass phrases from the terminal, so it runs in a session that has none: it fails where it would ask.
"""

from __future__ import annotations

import base64
import binascii
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edgevoice.errors import EdgevoiceError
from edgevoice.signing.public import MAKE, PublicKey, from_blob

NAMESPACE = "edgevoice-bundle"
"""What the signature is for: one that the same key made of a commit or a letter does not count."""

PRINCIPAL = "edgevoice"

MOST_BYTES = 16_384
"""Of a signature file; an Ed25519 one has about 300."""

_PROGRAM = "ssh-keygen"
_TIMEOUT_SECONDS = 60.0
_ARMOUR = ("-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----")
_SECRETS = ("DISPLAY", "SSH_ASKPASS")


def check_present() -> None:
    """Raise `EdgevoiceError` where nothing can check signatures."""
    _program()


def sign(message: bytes, key: Path) -> bytes:
    """The armoured signature of ``message``. ``key``: a private key, or a public one that ssh-agent serves.

    Raises `EdgevoiceError` where the key cannot sign without a question.
    """
    if not key.is_file():
        raise EdgevoiceError(f"{key} is no key file: {MAKE}")
    done = _run(["sign", "-f", str(key), "-n", NAMESPACE], message)
    if done.returncode:
        raise EdgevoiceError(_why_not_signed(key, done.stderr.decode(errors="replace")))
    if signer(done.stdout) is None:
        raise EdgevoiceError(f"{key} is no Ed25519 key: {MAKE}")
    return done.stdout


def verify(message: bytes, signature: Path, allowed: Path, revoked: Path | None) -> bool:
    """Whether a key of ``allowed`` that is not in ``revoked`` made ``signature`` of ``message``."""
    files = ["-f", str(allowed), "-s", str(signature)] + (["-r", str(revoked)] if revoked else [])
    return _run(["verify", "-I", PRINCIPAL, "-n", NAMESPACE, *files], message).returncode == 0


def valid(message: bytes, signature: Path) -> bool:
    """Whether ``signature`` is one of ``message``, by whichever key."""
    return _run(["check-novalidate", "-n", NAMESPACE, "-s", str(signature)], message).returncode == 0


def signer(signature: bytes) -> PublicKey | None:
    """Who a signature says has made it; None if it is none of an Ed25519 key. Proves nothing."""
    try:
        lines = signature.decode("ascii").split()
        text = "".join(lines)
        begin, end = ("".join(mark.split()) for mark in _ARMOUR)
        if not (text.startswith(begin) and text.endswith(end)):
            return None
        blob = base64.b64decode(text[len(begin) : -len(end)], validate=True)
        if blob[:10] != b"SSHSIG" + struct.pack(">I", 1):
            return None
        return from_blob(next(_strings(blob[10:])))
    except (UnicodeDecodeError, binascii.Error, struct.error, StopIteration):
        return None


def _strings(blob: bytes) -> Iterator[bytes]:
    while blob:
        (length,) = struct.unpack(">I", blob[:4])
        yield blob[4 : 4 + length]
        blob = blob[4 + length :]


def _run(arguments: list[str], message: bytes) -> subprocess.CompletedProcess[bytes]:
    program = _program()
    environment = {name: value for name, value in os.environ.items() if name not in _SECRETS}
    environment |= {"LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}
    try:
        return subprocess.run(
            [program, "-Y", *arguments],
            input=message,
            capture_output=True,
            env=environment,
            start_new_session=True,
            timeout=_TIMEOUT_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise EdgevoiceError(f"{_PROGRAM} did not answer within {_TIMEOUT_SECONDS:g} s") from None


def _program() -> str:
    found = shutil.which(_PROGRAM)
    if found is None:
        raise EdgevoiceError(f"{_PROGRAM} is missing, which checks signatures: apt install openssh-client")
    return found


def _why_not_signed(key: Path, said: str) -> str:
    if "UNPROTECTED" in said:
        return f"{key} can be read by others, so OpenSSH will not use it: chmod 600 {key}"
    if "passphrase" in said:
        return f"{key} has a pass phrase: run `ssh-add {key}` first, ssh-agent then signs"
    if key.suffix == ".pub":
        return f"nothing here can sign with {key}: run `ssh-add` with its private key, or give that to --key"
    last = said.strip().rpartition("\n")[2]
    return f"{key} cannot sign: {last or 'OpenSSH does not say why'}; {MAKE}"
