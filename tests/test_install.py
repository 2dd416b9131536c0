"""What a message tells the user to install."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import NoReturn

import pytest
from packaging.requirements import Requirement

from edgevoice import install

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", ["compress", "espeak", "quality", "tensorrt", "peers"])
def test_the_command_names_what_the_extra_holds(extra: str) -> None:
    named = {Requirement(line) for line in install.packages(extra)}
    wanted = [Requirement(line) for line in EXTRAS[extra]]
    own = {row for row in wanted if row.name != "edgevoice"}
    others = [name for row in wanted if row.name == "edgevoice" for name in row.extras]
    assert named == own | {Requirement(line) for other in others for line in EXTRAS[other]}
    assert "edgevoice" not in install.command(extra)


def test_a_shell_can_read_it() -> None:
    assert "'onnx<2,>=1.16'" in install.command("compress")


def test_a_folder_of_source_files_names_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> NoReturn:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(install, "requires", unknown)
    assert install.command("espeak") == "pip install '.[espeak]'"


def test_no_message_names_a_package_that_is_not_published() -> None:
    folders = ("edgevoice", "compress", "calibration", "targets", "benchmarks")
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        assert "edgevoice[" not in path.read_text("utf-8"), path
