from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from signing.signing_keys import make_key


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workshop's private key."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    return make_key(tmp_path_factory.mktemp("keys") / "own")


@pytest.fixture(scope="session")
def other_key(key: Path) -> Path:
    """Somebody else's."""
    return make_key(key.with_name("other"))
