from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from signing.signing_keys import make_key, public_of
from update.https_server import Site, make_certificate, serving

from edgevoice.signing.trust import trust


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: it makes the server's certificate")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def site(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(certificate) as served:
        yield served


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    return make_key(tmp_path_factory.mktemp("keys") / "own")


@pytest.fixture
def root(tmp_path: Path, key: Path) -> Path:
    """A device that trusts a key."""
    folder = tmp_path / "device"
    folder.mkdir()
    trust(folder, public_of(key))
    return folder
