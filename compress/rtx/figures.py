"""What a build's log says of the engine: its memory, and which layers run in which type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_TOTAL = re.compile(r"Total (Activation|Weights) Memory: (\d+) bytes")
_KIND = re.compile(r"LayerType: (\w+)")
_TYPE = re.compile(r"Datatype: (\w+)")
_ORIGIN = re.compile(r"\[ONNX Layer: ([^\]]*)\]")
PRODUCTS = frozenset(["correlation", "deconv", "gemm", "runtime_fusion"])
"""Kinds of layers that multiply; the others move and combine."""


@dataclass(frozen=True)
class Figures:
    """``activation_bytes``: of the profile that takes most; ``plan_bytes`` hold kernels beside weights.

    ``layers``: products as "correlation Int8" and how many; ``int8``: ONNX nodes that run in INT8.
    """

    activation_bytes: int
    weights_bytes: int
    plan_bytes: int
    layers: dict[str, int]
    int8: tuple[str, ...]

    def missing(self, asked: Iterable[str]) -> list[str]:
        """Those of the ``asked`` nodes that do not run in INT8."""
        return [name for name in asked if name not in set(self.int8)]


def read(lines: Sequence[str], plan_bytes: int) -> Figures:
    """From the lines of a detailed log. What it does not say is 0 or empty."""
    totals: dict[str, list[int]] = {"Activation": [0], "Weights": [0]}
    layers: Counter[str] = Counter()
    int8: dict[str, None] = {}
    for line in lines:
        if total := _TOTAL.search(line):
            totals[total[1]].append(int(total[2]))
        for layer in filter(None, line.split("\n")):
            _count(layer, layers, int8)
    return Figures(max(totals["Activation"]), max(totals["Weights"]), plan_bytes, dict(layers), tuple(int8))


def _count(layer: str, layers: Counter[str], int8: dict[str, None]) -> None:
    kind = _KIND.search(layer) if layer.startswith("Name: ") else None
    if kind is None or kind[1] not in PRODUCTS:
        return
    data = _TYPE.search(_between(layer, "Inputs: ", "Constants: "))
    name = data[1] if data else "unknown"
    layers[f"{kind[1]} {name}"] += 1
    if name == "Int8":
        int8.update(dict.fromkeys(_ORIGIN.findall(layer)))


def _between(text: str, start: str, end: str) -> str:
    return text.partition(start)[2].partition(end)[0]
