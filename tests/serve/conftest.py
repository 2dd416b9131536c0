"""Two bundles of the tiny voice that differ in their id, a folder that speaks with the first, a service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from serve.running import Running, content, running

from edgevoice import bundle
from edgevoice.deploy.layout import short
from edgevoice.deploy.local import deploy
from edgevoice.manifest import Manifest


@pytest.fixture(scope="session")
def one(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return named(tiny_bundle, tmp_path_factory.mktemp("one") / "one")


@pytest.fixture(scope="session")
def two(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return named(tiny_bundle, tmp_path_factory.mktemp("two") / "two")


@pytest.fixture(scope="session")
def trio(tiny_multispeaker_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return named(tiny_multispeaker_bundle, tmp_path_factory.mktemp("trio") / "trio")


def named(source: Path, target: Path) -> Path:
    """The bundle under the name of ``target``, with the phonemizer that every install has."""
    made = bundle.read(source)
    text = msgspec.structs.replace(made.manifest.text, phonemizers=["lexicon"])
    voice = msgspec.structs.replace(made.manifest.voice, name=target.name)
    manifest: Manifest = msgspec.structs.replace(made.manifest, text=text, voice=voice)
    return bundle.write(target, manifest, {name: made.file(name) for name in manifest.files}).path


@pytest.fixture(scope="session")
def first(one: Path) -> str:
    """The release's name of bundle `one`."""
    return short(bundle.read(one, verify=False).id)


@pytest.fixture(scope="session")
def second(two: Path) -> str:
    return short(bundle.read(two, verify=False).id)


@pytest.fixture
def root(one: Path, tmp_path: Path) -> Path:
    """A deployed folder that speaks with `one`."""
    deploy(one, tmp_path / "device", self_test=content)
    return tmp_path / "device"


@pytest.fixture(scope="module")
def service(trio: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service with three speakers that the tests of a module share."""
    root = tmp_path_factory.mktemp("shared") / "device"
    deploy(trio, root, self_test=content)
    with running(root, "--threads", 1) as started:
        yield started
