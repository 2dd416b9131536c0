"""Every name of TensorRT's that the code uses exists in the releases that it is for.

``names.json`` lists, for each release, the public names of the classes that are used, as its own bindings
show them. No release is needed to run this. Arguments and what comes back are pyright's to check, against one
release's stubs: `typed.py` and `make pyright`.
"""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from standin import trt as standin

from edgevoice.runtime.engines import tensorrt
from edgevoice.runtime.engines.tensorrt import interface

RELEASES: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("names.json").read_text())
SOURCES = sorted(Path(tensorrt.__file__).parent.glob("*.py"))

CLASSES = {
    interface.PlanBuilder: "Builder",
    interface.Config: "IBuilderConfig",
    interface.Context: "IExecutionContext",
    interface.Engine: "ICudaEngine",
    interface.Network: "INetworkDefinition",
    interface.Parser: "OnnxParser",
    interface.ParserError: "ParserError",
    interface.PlanRuntime: "Runtime",
    interface.Profile: "IOptimizationProfile",
    interface.Tensor: "ITensor",
    interface.TimingCache: "ITimingCache",
}
"""Which class each of ours describes: mypy lets our code use nothing else of it."""


def chain(node: ast.expr) -> list[str]:
    """`self._trt.A.B` -> ["trt", "A", "B"]; empty for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return []
    parts.insert(0, node.id)
    if parts[0] == "self" and len(parts) > 1:
        parts = parts[1:]
    parts[0] = parts[0].lstrip("_")
    return parts


def used(path: Path) -> Iterator[tuple[list[str], int]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner and (parts := chain(node)):
            yield parts, node.lineno


def module_names() -> list[tuple[str, str, str]]:
    found = []
    for path in SOURCES:
        for parts, line in used(path):
            if parts[0] == "trt" and len(parts) > 1 and not parts[1].startswith("__"):
                member = parts[2] if len(parts) > 2 and not parts[2].startswith("__") else ""
                found.append((parts[1], member, f"{path.name}:{line}"))
    return found


def members(described: type) -> set[str]:
    named = set(vars(described)) | set(described.__annotations__)
    return {name for name in named if not name.startswith("_")}


@pytest.mark.parametrize("release", RELEASES)
def test_the_module_s_names_exist(release: str) -> None:
    assert len(module_names()) >= 10
    table = RELEASES[release]
    for name, member, where in module_names():
        assert name in table, f"{where}: TensorRT {release} has no {name}"
        assert not member or member in table[name], f"{where}: TensorRT {release} has no {name}.{member}"


@pytest.mark.parametrize("release", RELEASES)
def test_the_objects_names_exist(release: str) -> None:
    assert sum(len(members(described)) for described in CLASSES) > 25
    for described, name in CLASSES.items():
        missing = members(described) - set(RELEASES[release][name])
        assert not missing, f"TensorRT {release}: {name} has no {sorted(missing)}"


@pytest.mark.parametrize("release", RELEASES)
def test_the_module_has_what_is_taken_from_it(release: str) -> None:
    missing = members(interface.TensorRt) - set(RELEASES[release])
    assert not missing, f"TensorRT {release} has no {sorted(missing)}"


@pytest.mark.parametrize("release", RELEASES)
def test_the_stand_in_offers_nothing_that_is_not_there(release: str) -> None:
    own = {"fill", "serialize"}  # the first is not public in the real one, the second is checked by its class
    for name in RELEASES[release]:
        made = getattr(standin, name, None)
        if not inspect.isclass(made) or name in ("ILogger", "IHostMemory"):
            continue
        for member in set(vars(made)) - own:
            public = not member.startswith("_")
            assert not public or member in RELEASES[release][name], f"TensorRT {release}: {name}.{member}"


def test_enums_are_never_made_of_numbers() -> None:
    """Their numbers changed between the releases: STRONGLY_TYPED is 1 in the one and 0 in the other."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or chain(node.func)[:1] != ["trt"]:
                continue
            numbers = [a for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, int)]
            assert not numbers, f"{path.name}:{node.lineno} makes an enum of a number"
