"""Finding the parts of a network in its ONNX graph, by what feeds what and never by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import onnx_graphsurgeon as gs
from numpy.typing import NDArray

from compress import surgery
from edgevoice.errors import EdgevoiceError

T = TypeVar("T")
Arrays = dict[str, NDArray[Any]]
_CARRIERS = ("Reshape", "Transpose", "Unsqueeze", "Squeeze", "Pad", "Slice", "Identity", "Cast", "Div", "Mul")
_BARRIERS = ("Shape", "Conv", "ConvTranspose", "MatMul", "Softmax")


class Unrecognised(EdgevoiceError):
    """The graph is built otherwise than what is looked for."""


def only(found: Sequence[T], what: str) -> T:
    """The one thing that was looked for; `Unrecognised` where there is none or a choice."""
    if len(found) != 1:
        raise Unrecognised(f"there are {len(found)} candidates for {what}")
    return found[0]


def above(tensor: gs.Tensor) -> gs.Node | NDArray[Any] | None:
    """What ``tensor`` was before it was reshaped, scaled or padded: the node that made it, or a constant."""
    while not isinstance(tensor, gs.Constant):
        if not tensor.inputs:
            return None
        node = tensor.inputs[0]
        if node.op not in _CARRIERS:
            return node
        data = node.inputs[:1]
        if node.op == "Mul":
            data = [source for source in node.inputs if not _is_scalar(source)]
        if len(data) != 1:
            return None
        tensor = data[0]
    return np.asarray(tensor.values)


def nearest_above(node: gs.Node, op: str) -> list[gs.Node]:
    """The nodes of kind ``op`` from which ``node`` is reached element by element, through no other layer."""
    return _nearest(node, op, lambda n: [p for tensor in n.inputs for p in tensor.inputs])


def nearest_below(node: gs.Node, op: str) -> list[gs.Node]:
    """The nodes of kind ``op`` that are reached from ``node`` element by element, through no other layer."""
    return _nearest(node, op, lambda n: [c for tensor in n.outputs for c in tensor.outputs])


def _nearest(node: gs.Node, op: str, following: Any) -> list[gs.Node]:
    seen, found, queue = {id(node)}, [], following(node)
    while queue:
        near = queue.pop(0)
        if id(near) not in seen:
            seen.add(id(near))
            if near.op == op:
                found.append(near)
            elif near.op not in _BARRIERS:
                queue += following(near)
    return found


def affine_pairs(nodes: Sequence[gs.Node], width: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Gain and shift [width] of each layer norm, spelt out in small operators or as one."""
    pairs = []
    for node in nodes:
        if node.op == "LayerNormalization":
            pairs.append((np.asarray(node.inputs[1].values), np.asarray(node.inputs[2].values)))
        elif node.op == "Mul" and (gain := _vector(node, width)) is not None:
            after = surgery.sole_consumer(node.outputs[0], ("Add",))
            if after is not None and (shift := _vector(after, width)) is not None:
                pairs.append((gain, shift))
    return pairs


def _vector(node: gs.Node, width: int) -> NDArray[Any] | None:
    found = [t.values for t in node.inputs if isinstance(t, gs.Constant) and t.values.shape == (width,)]
    return np.asarray(found[0]) if found else None


def scalar(node: gs.Node) -> float | None:
    """The one number that an element-wise node works with."""
    found = [tensor for tensor in node.inputs if _is_scalar(tensor)]
    return float(np.asarray(found[0].values).reshape(())) if len(found) == 1 else None


def _is_scalar(tensor: gs.Tensor) -> bool:
    return isinstance(tensor, gs.Constant) and np.size(tensor.values) == 1


def weight(conv: gs.Node) -> NDArray[np.float32]:
    return np.asarray(conv.inputs[1].values, np.float32)


def bias(conv: gs.Node) -> NDArray[np.float32] | None:
    return np.asarray(conv.inputs[2].values, np.float32) if len(conv.inputs) > 2 else None


def convolution(place: str, conv: gs.Node) -> Arrays:
    """Weight and bias under the names that torch gives them in a layer called ``place``."""
    shift = bias(conv)
    if shift is None:
        raise Unrecognised("a convolution without a bias")
    return {f"{place}.weight": weight(conv), f"{place}.bias": shift}
