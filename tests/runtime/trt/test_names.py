"""Every name of TensorRT's that the code uses exists in the releases that it is for.

``names.json`` lists, for each release, the public names of the classes that are used, as its own bindings
show them. No release is needed to run this.
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

RELEASES: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("names.json").read_text())
SOURCES = sorted(Path(tensorrt.__file__).parent.glob("*.py"))

CLASSES = {
    "builder": "Builder",
    "config": "IBuilderConfig",
    "context": "IExecutionContext",
    "network": "INetworkDefinition",
    "parser": "OnnxParser",
    "profile": "IOptimizationProfile",
    "runtime": "Runtime",
    "tensor": "ITensor",
    "trt_engine": "ICudaEngine",
}
"""What variables of these names hold, in `build` and `engine`."""

FOR_RTX = {"num_compute_capabilities", "set_compute_capability"}
"""TensorRT for RTX alone, behind a look whether it is that."""


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


def object_names() -> list[tuple[str, str, str]]:
    found = []
    for path in SOURCES:
        if path.name not in ("build.py", "engine.py"):
            continue
        for parts, line in used(path):
            names = parts[1:] if parts[0] == "lane" else parts
            if names and names[0] in CLASSES and len(names) > 1:
                found.append((CLASSES[names[0]], names[1], f"{path.name}:{line}"))
    return [row for row in found if row[1] not in FOR_RTX]


@pytest.mark.parametrize("release", RELEASES)
def test_the_module_s_names_exist(release: str) -> None:
    assert len(module_names()) > 10
    table = RELEASES[release]
    for name, member, where in module_names():
        assert name in table, f"{where}: TensorRT {release} has no {name}"
        assert not member or member in table[name], f"{where}: TensorRT {release} has no {name}.{member}"


@pytest.mark.parametrize("release", RELEASES)
def test_the_objects_names_exist(release: str) -> None:
    assert len(object_names()) > 25
    for name, member, where in object_names():
        assert member in RELEASES[release][name], f"{where}: TensorRT {release} has no {name}.{member}"


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
