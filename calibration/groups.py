"""Groups of quantisable layers, found by structure: a layer each, or the layers of one scope if there are
many."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from calibration.graph import constants
from calibration.quantize import OPERATORS, quantisable
from calibration.ranges import Window, session, with_outputs


@dataclass(frozen=True)
class Group:
    """Layers that go to INT8 together."""

    name: str
    layers: tuple[str, ...]
    share: float
    """Of the multiplications of all the groups' layers."""


def groups(
    model: onnx.ModelProto,
    window: Window,
    op_types: Collection[str] = OPERATORS,
    most: int = 16,
    without: Collection[str] = (),
) -> list[Group]:
    """The model's quantisable layers but those ``without`` in at most ``most`` groups, in graph order.

    ``window``: one set of inputs, to count each layer's multiplications.
    """
    layers = [node for node in quantisable(model, op_types) if node.name not in without]
    if not layers:
        return []
    work = _multiplications(model, layers, window)
    total = max(1, sum(work.values()))
    members: dict[str, list[str]] = {}
    for node, label in zip(layers, _labels([node.name for node in layers], most), strict=True):
        members.setdefault(label, []).append(node.name)
    return [
        Group(label, tuple(names), sum(work[name] for name in names) / total)
        for label, names in members.items()
    ]


def _labels(names: Sequence[str], most: int) -> list[str]:
    """A label for each layer: the longest scopes that give at most ``most`` groups, else runs of
    neighbours."""
    parts = [[part for part in re.split(r"[/.]", name) if part] for name in names]
    for depth in range(max((len(part) for part in parts), default=0), 0, -1):
        labels = ["/".join(part[:depth]) for part in parts]
        if 1 < len(set(labels)) <= most or len(names) == 1:
            return labels
    size = -(-len(names) // most)
    runs = [names[start : start + size] for start in range(0, len(names), size)]
    return [_run(run) for run in runs for _ in run]


def _run(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]} ({len(names)})"


def _multiplications(
    model: onnx.ModelProto, layers: Sequence[onnx.NodeProto], window: Window
) -> dict[str, int]:
    weights = constants(model)
    outputs = [node.output[0] for node in layers]
    results = session(with_outputs(model, outputs)).run(outputs, dict(window))
    work = {}
    for node, result in zip(layers, results, strict=True):
        shape = weights[node.input[1]].shape
        each = int(np.prod(shape[1:])) if node.op_type == "Conv" else _inner(node, shape)
        work[node.name] = each * int(np.size(result))
    return work


def _inner(node: onnx.NodeProto, shape: tuple[int, ...]) -> int:
    """Terms that each output of a matrix product sums."""
    transposed = any(entry.name == "transB" and entry.i for entry in node.attribute)
    return int(shape[-1] if transposed else shape[-2])
