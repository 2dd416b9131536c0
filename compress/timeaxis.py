"""Which axis of a tensor is time, followed through a graph, and the operators that work along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_graphsurgeon as gs


@dataclass(frozen=True)
class Place:
    """The time axis, counted from the last axis (-1), of a tensor of ``rank`` axes."""

    axis: int
    rank: int


class Mixed(Exception):
    """The operator works along time in a way that is not bounded."""


def after(node: gs.Node, seen: Sequence[tuple[int, Place]]) -> Place | None:
    """Time's place in the node's output, from its places in those inputs (number, place) that hold it.

    None where it is not known. Raises `Mixed` for a mean, a slice, a product along time and the like.
    """
    if len({place.axis for _, place in seen}) > 1:
        raise Mixed  # every step meets every step
    number, place = max(seen, key=lambda entry: entry[1].rank)
    if node.op == "Reshape":
        return None
    if node.op == "Transpose":
        return _transposed(node, place)
    if node.op in ("Squeeze", "Unsqueeze"):
        return _other_rank(node, place)
    if _works_along(node, number, place):
        raise Mixed
    if node.op == "ReduceMean" and not node.attrs.get("keepdims", 1):
        return _without(_axes(node, 1) or (), place)
    return place


def _works_along(node: gs.Node, number: int, place: Place) -> bool:
    op, attrs = node.op, node.attrs
    if op in ("Conv", "ConvTranspose"):
        return place.axis != -1
    if op == "MatMul":
        return place.axis == (-1 if number == 0 else -2)
    if op in ("Concat", "Split"):
        return _from_end(attrs.get("axis", 0), place.rank) == place.axis
    if op == "LayerNormalization":
        return place.axis >= _from_end(attrs.get("axis", -1), place.rank)
    if op == "ReduceMean":
        return _touches(_axes(node, 1), place)
    if op == "Slice":
        starts = _constant(node, 1)
        return _touches(_axes(node, 3) or (None if starts is None else tuple(range(len(starts)))), place)
    return False


def _touches(axes: Sequence[int] | None, place: Place) -> bool:
    """Axes that are not known may be any."""
    return axes is None or place.axis in [_from_end(axis, place.rank) for axis in axes]


def _transposed(node: gs.Node, place: Place) -> Place:
    order = node.attrs.get("perm") or list(reversed(range(place.rank)))
    return Place(list(order).index(place.axis + place.rank) - place.rank, place.rank)


def _other_rank(node: gs.Node, place: Place) -> Place | None:
    axes = _axes(node, 1)
    if axes is None:
        return None
    if node.op == "Squeeze":
        return _without(axes, place)
    rank = place.rank + len(axes)
    new = [axis % rank for axis in axes]
    old = [axis for axis in range(rank) if axis not in new]
    return Place(old[place.axis] - rank, rank)


def _without(axes: Sequence[int], place: Place) -> Place | None:
    gone = [axis % place.rank for axis in axes]
    left = [axis for axis in range(place.rank) if axis not in gone]
    time = place.axis + place.rank
    return Place(left.index(time) - len(left), len(left)) if time in left else None


def _axes(node: gs.Node, number: int) -> tuple[int, ...] | None:
    """From the attribute, or, in newer operator sets, from input ``number``; None where not known."""
    found = node.attrs.get("axes") or _constant(node, number)
    return None if found is None else tuple(int(axis) for axis in found)


def _constant(node: gs.Node, number: int) -> list[int] | None:
    tensor = node.inputs[number] if number < len(node.inputs) else None
    if isinstance(tensor, gs.Constant):
        return [int(value) for value in np.ravel(tensor.values)]
    maker = tensor.inputs[0] if tensor is not None and tensor.inputs else None
    if maker is not None and maker.op == "Constant" and "value" in maker.attrs:
        return [int(value) for value in np.ravel(maker.attrs["value"].values)]
    return None


def _from_end(axis: int, rank: int) -> int:
    return axis - rank if axis >= 0 else axis
