"""Whatever a room imports is declared: by the base install, or by the room's own extras."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.project.tree import PACKAGES, ROOT, sources

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# Longest prefix first. The device's engines, server and phonemizers import what their extras name, lazily.
EXTRAS = {
    "compress/distil": {"compress", "train"},
    "compress/prune": {"compress", "train"},
    "compress/students": {"compress", "train"},
    "compress": {"compress"},
    "calibration": {"compress"},
    "edgevoice": {"espeak", "jetson", "kit", "pycuda", "serve", "tensorrt"},
    "targets": set(),
}


@cache
def declared(*extras: str) -> frozenset[str]:
    """Canonical names of the distributions that the base install and the extras name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"].get(name, []) for name in extras)]
    return frozenset(canonicalize_name(Requirement(line).name) for group in groups for line in group)


def imported(module: Path) -> Iterator[str]:
    """Top-level names that a file imports, at any depth of its code."""
    for node in ast.walk(ast.parse((ROOT / module).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def foreign(module: Path) -> set[str]:
    return set(imported(module)) - set(sys.stdlib_module_names) - set(PACKAGES)


@pytest.mark.parametrize("room", EXTRAS)
def test_every_import_is_declared(room: str) -> None:
    owners = packages_distributions()
    allowed = declared(*EXTRAS[room])
    for module in (path for path in sources() if path.suffix == ".py" and room_of(path) == room):
        for name in foreign(module):
            names = {canonicalize_name(owner) for owner in owners.get(name, [name])}
            assert names & allowed, f"{module} imports {name}: declare it in pyproject.toml"


def room_of(path: Path) -> str:
    return next(room for room in EXTRAS if path.is_relative_to(room))
