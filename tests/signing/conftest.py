from __future__ import annotations

from pathlib import Path

import pytest
from signing.signing_keys import make_key, workshop_key


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workshop's private key."""
    return workshop_key(tmp_path_factory)


@pytest.fixture(scope="session")
def other_key(key: Path) -> Path:
    """Somebody else's."""
    return make_key(key.with_name("other"))
