"""Keys and signed bundles for the tests."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from deploy.deploy_bundles import make

from edgevoice.signing import public
from edgevoice.signing.public import PublicKey
from edgevoice.signing.sign import sign
from edgevoice.signing.trust import trust


def make_key(path: Path, kind: str = "ed25519", phrase: str = "") -> Path:
    """A private key at ``path``; the public one lies beside it as NAME.pub."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = ["ssh-keygen", "-q", "-t", kind, "-N", phrase, "-C", f"{path.name}@workshop", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=60)
    return path


def workshop_key(factory: pytest.TempPathFactory) -> Path:
    """For a fixture."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    return make_key(factory.mktemp("keys") / "own")


def trusting(folder: Path, key: Path) -> Path:
    """A device that trusts ``key`` and has no release yet."""
    folder.mkdir()
    trust(folder, public_of(key))
    return folder


def public_of(key: Path) -> PublicKey:
    return public.read(key.with_name(f"{key.name}.pub"))


def signed(folder: Path, name: str, key: Path, serial: int | None = None, **seeds: int) -> Path:
    """A bundle of random bytes, signed."""
    path = make(folder, name, size=4000, **seeds)
    sign(path, key, serial)
    return path
