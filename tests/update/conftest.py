from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.deploy_bundles import content
from signing.signing_keys import signed, trusting, workshop_key
from update.https_server import Site, make_certificate, serving

from edgevoice.deploy import local


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
    return workshop_key(tmp_path_factory)


@pytest.fixture
def root(tmp_path: Path, key: Path) -> Path:
    return trusting(tmp_path / "device", key)


@pytest.fixture
def one(tmp_path: Path, key: Path, root: Path) -> Path:
    """A signed bundle with serial 1, which speaks."""
    path = signed(tmp_path, "one", key, 1)
    local.deploy(path, root, self_test=content)
    return path


@pytest.fixture
def two(tmp_path: Path, key: Path) -> Path:
    """A newer one."""
    return signed(tmp_path, "two", key, 2, vocoder=1)
