"""JetPack 6 has Python 3.10. Grammar is checked here, library and types by mypy, the rest by test-oldest."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.project.tree import ROOT, files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MODULES = [path for path in files() if path.suffix == ".py"]
NEWER = [
    "try:\n    pass\nexcept* OSError:\n    pass",
    "def same[T](x: T) -> T:\n    return x",
    "type Name = str",
]


@pytest.fixture(scope="module")
def project() -> dict[str, dict[str, object]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("code", NEWER)
def test_the_check_refuses_newer_grammar(code: str) -> None:
    with pytest.raises(SyntaxError):
        ast.parse(code, feature_version=(3, 10))


def test_every_module_parses_with_the_grammar_of_3_10() -> None:
    assert len(MODULES) > 20
    for path in MODULES:
        ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path), feature_version=(3, 10))


def test_the_tools_look_with_the_eyes_of_3_10(project: dict[str, dict[str, object]]) -> None:
    tool = project["tool"]
    assert project["project"]["requires-python"] == ">=3.10"
    assert tool["mypy"]["python_version"] == "3.10"
    assert tool["ruff"]["target-version"] == "py310"


def test_the_oldest_pins_are_the_lower_bounds(project: dict[str, dict[str, object]]) -> None:
    bounds = {row.name: specified(row, ">=") for row in map(Requirement, project["project"]["dependencies"])}
    assert pins(ROOT / ".ci/oldest.txt") == bounds


def pins(path: Path) -> dict[str, str]:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
    return {row.name: specified(row, "==") for row in map(Requirement, lines)}


def specified(requirement: Requirement, operator: str) -> str:
    (found,) = (part.version for part in requirement.specifier if part.operator == operator)
    return found
