"""The wheel holds the four packages with all their data, and nothing else."""

from __future__ import annotations

import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.project.tree import PACKAGES, sources

pytestmark = pytest.mark.packaging


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel: Path, names: set[str]) -> Message:
    (name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read(name).decode())


def test_every_file_of_the_packages_is_in_the_wheel_and_no_other(copied_tree: Path, names: set[str]) -> None:
    packed = {name for name in names if ".dist-info/" not in name}
    assert packed == {path.as_posix() for path in sources(copied_tree)}
    assert {name.split("/")[0] for name in packed} == set(PACKAGES)


def test_the_wheel_runs_on_any_machine_and_carries_the_licence(wheel: Path, names: set[str]) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def test_the_base_install_asks_for_no_workstation_library(metadata: Message) -> None:
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    base = {row.name for row in requirements if row.marker is None or "extra" not in str(row.marker)}
    assert base == {"msgspec", "numpy", "onnxruntime", "soundfile", "tomli", "typer"}


def test_torch_is_asked_for_by_train_and_dev_alone(metadata: Message) -> None:
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    torch = [str(row.marker) for row in requirements if row.name == "torch"]
    assert torch == ['extra == "train"']
