"""How far a graph looks to each side: the context that lets it run chunk by chunk and equal a whole run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import onnx
import onnx_graphsurgeon as gs

from compress.timeaxis import Mixed, Place, after
from edgevoice.errors import EdgevoiceError

# Work on each time step alone (or on channels), as exported by torch for WaveNets and GAN vocoders.
_POINTWISE = frozenset(
    {
        *("Abs", "Add", "Cast", "Clip", "Cos", "Div", "Elu", "Erf", "Exp", "Gelu", "LeakyRelu", "Log", "Mul"),
        *("Neg", "Pow", "PRelu", "Relu", "Sigmoid", "Sin", "Softplus", "Sqrt", "Sub", "Tanh"),
        *("Concat", "Constant", "Expand", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Transpose"),
        *("Unsqueeze", "LayerNormalization", "MatMul", "ReduceMean", "DequantizeLinear", "QuantizeLinear"),
    }
)


@dataclass(frozen=True)
class Reach:
    """Input frames seen to each side of an output step's own place; ``rate``: output steps per input frame.

    The first step of a chunk lies on a frame's edge, the last one ``1 / rate`` before the next edge.
    """

    left: Fraction
    right: Fraction
    rate: Fraction


def context(model: onnx.ModelProto, source: str) -> int:
    """Frames that each side of a chunk of input ``source`` needs, from the convolutions on the way.

    Raises `EdgevoiceError` where an operator mixes time in another way (attention, recurrence, a mean or a
    slice over time). Behind a Reshape the time axis is not known any more, and such a mean passes;
    `compress.verify.in_chunks` catches what it does.
    """
    graph = gs.import_onnx(model)
    reach: dict[str, Reach] = {source: Reach(Fraction(0), Fraction(0), Fraction(1))}
    places: dict[str, Place | None] = {source: _place(graph, source)}
    for node in graph.toposort().nodes:
        seen = [reach[tensor.name] for tensor in node.inputs if tensor.name in reach]
        if seen:
            if node.op == "MatMul" and len(seen) > 1:
                raise _unbounded(node)  # every step against every step
            result, place = _through(node, _widest(seen)), _followed(node, places)
            reach.update({tensor.name: result for tensor in node.outputs})
            places.update({tensor.name: place for tensor in node.outputs})
    ends = [reach[tensor.name] for tensor in graph.outputs if tensor.name in reach]
    if not ends:
        raise EdgevoiceError(f"no output of the graph depends on its input {source!r}")
    return max(max(math.floor(end.left), math.floor(end.right - 1 / end.rate) + 1) for end in ends)


def _place(graph: gs.Graph, source: str) -> Place:
    shape = next((tensor.shape for tensor in graph.inputs if tensor.name == source), None)
    return Place(-1, len(shape) if shape else 3)


def _followed(node: gs.Node, places: dict[str, Place | None]) -> Place | None:
    seen = [
        (number, place)
        for number, tensor in enumerate(node.inputs)
        if (place := places.get(tensor.name)) is not None
    ]
    try:
        return after(node, seen) if seen else None
    except Mixed:
        raise _unbounded(node) from None


def _widest(seen: list[Reach]) -> Reach:
    return Reach(
        max(reach.left for reach in seen),
        max(reach.right for reach in seen),
        max(reach.rate for reach in seen),
    )


def _through(node: gs.Node, reach: Reach) -> Reach:
    if node.op == "Conv":
        return _convolution(node, reach)
    if node.op == "ConvTranspose":
        return _transposed(node, reach)
    if node.op not in _POINTWISE:
        raise _unbounded(node)
    return reach


def _unbounded(node: gs.Node) -> EdgevoiceError:
    return EdgevoiceError(f"cannot run in chunks: {node.name} ({node.op}) mixes time without a known bound")


def _convolution(node: gs.Node, reach: Reach) -> Reach:
    span = (node.inputs[1].shape[-1] - 1) * node.attrs.get("dilations", [1])[-1]
    before = node.attrs.get("pads", [0, 0])[0]
    stride = node.attrs.get("strides", [1])[-1]
    return Reach(
        reach.left + before / reach.rate, reach.right + (span - before) / reach.rate, reach.rate / stride
    )


def _transposed(node: gs.Node, reach: Reach) -> Reach:
    stride = node.attrs.get("strides", [1])[-1]
    kernel = node.inputs[1].shape[-1]
    before = node.attrs.get("pads", [0, 0])[0]
    steps = reach.rate * stride
    return Reach(reach.left + (kernel - 1 - before) / steps, reach.right + before / steps, steps)
