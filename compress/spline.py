"""The spline flow of VITS durations without nodes whose shapes depend on data.

The exporter writes it with boolean masks: values inside the tails are gathered, computed and scattered back,
through `NonZero`, which TensorRT for RTX does not import and which no engine can plan memory for. Here every
value is computed, clamped to the tails, and `Where` keeps those that lie outside as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs

from calibration.half import SINGLE
from compress import surgery
from compress.lines import Lines

_ROUTE = ("Cast", "Expand", "Identity", "NonZero", "Transpose")
"""From a mask to the indices that it selects."""
_CARRIED = ("Cast", "Expand", "Identity", "Reshape")


@dataclass(frozen=True)
class _Flow:
    """One inverse spline: values y [1,1,T], unnormalised widths and heights [1,1,T,bins], slopes between bins
    [1,1,T,bins-1]; ``least``: the least width, height and slope; ``edge``: the slopes' number at both tails.
    """

    inside: gs.Variable
    y: gs.Variable
    low: np.float32
    high: np.float32
    widths: gs.Variable
    heights: gs.Variable
    slopes: gs.Variable
    bins: int
    least: tuple[np.float32, np.float32, np.float32]
    edge: np.float32
    result: gs.Variable


def without_masks(model: onnx.ModelProto) -> onnx.ModelProto:
    """``model`` with each inverse spline flow that is recognised by its structure written anew.

    The same numbers come out but for rounding. A graph without such flows comes back as it is.
    """
    graph = gs.import_onnx(model)
    flows = [flow for node in graph.nodes if (flow := _recognised(node))]
    if not flows:
        return model
    for number, flow in enumerate(flows):
        surgery.replace(flow.result, _rewritten(Lines(graph, f"{SINGLE}spline_{number}"), flow))
    return surgery.exported(graph.cleanup(remove_unused_graph_inputs=False).toposort())


class _Unlike(Exception):
    """Not what a spline flow looks like."""


def _recognised(node: gs.Node) -> _Flow | None:
    try:
        return _flow(node) if node.op == "And" else None
    except _Unlike:
        return None


def _flow(node: gs.Node) -> _Flow:
    """What hangs on the mask ``low <= y <= high``."""
    inside = node.outputs[0]
    bounds = {tensor.inputs[0].op: tensor.inputs[0] for tensor in node.inputs if tensor.inputs}
    if set(bounds) != {"GreaterOrEqual", "LessOrEqual"}:
        raise _Unlike
    (y, low), (other, high) = bounds["GreaterOrEqual"].inputs, bounds["LessOrEqual"].inputs
    gathered = list(_selected(inside, "GatherND"))
    mine = _only([found for tensor, found in gathered if tensor is y])
    if y is not other or len(gathered) != 4:
        raise _Unlike
    below = surgery.ancestors(_only(_near(mine.outputs[0], "GreaterOrEqual")))
    sizes = _followed(gathered, "Softmax")
    heights, tall = _only([(tensor, node) for tensor, node in sizes if id(node) in below])
    widths, wide = _only([(tensor, node) for tensor, node in sizes if id(node) not in below])
    padded, softplus = _only(_followed(gathered, "Softplus"))
    slopes, edge = _edges(padded)
    least = _least(wide, 2), _least(tall, 2), _least(softplus, 1)
    _, scattered = _only(list(_selected(inside, "ScatterND")))
    return _Flow(
        inside, y, _scalar(low), _scalar(high), widths, heights, slopes, _bins(widths), least, edge,
        scattered.outputs[0],
    )  # fmt: skip


def _selected(mask: gs.Tensor, op: str) -> Iterator[tuple[gs.Tensor, gs.Node]]:
    """The nodes of kind ``op`` that work at the places where ``mask`` is true, with their data."""
    for node in mask.outputs:
        if node.op in _ROUTE:
            yield from _selected(node.outputs[0], op)
        elif node.op == op and node.inputs[1] is mask:
            yield node.inputs[0], node


def _followed(gathered: list[tuple[gs.Tensor, gs.Node]], op: str) -> list[tuple[gs.Tensor, gs.Node]]:
    """Data of those that a node of kind ``op`` comes after, with that node."""
    return [(tensor, after) for tensor, node in gathered for after in _near(node.outputs[0], op)]


def _near(tensor: gs.Tensor, op: str) -> list[gs.Node]:
    found = []
    for node in tensor.outputs:
        if node.op == op:
            found.append(node)
        elif node.op in ("Identity", "Unsqueeze"):
            found += _near(node.outputs[0], op)
    return found


def _only(found: list[Any]) -> Any:
    if len(found) != 1:
        raise _Unlike
    return found[0]


def _scalar(tensor: gs.Tensor) -> np.float32:
    if not isinstance(tensor, gs.Constant) or np.size(tensor.values) != 1:
        raise _Unlike
    return _number(tensor.values)


def _number(values: object) -> np.float32:
    found: np.float32 = np.asarray(values, np.float32).reshape(-1)[0]
    return found


def _edges(tensor: gs.Tensor) -> tuple[gs.Variable, np.float32]:
    """The slopes before they were padded, and the number that was then written to both ends."""
    ends = []
    while tensor.inputs and tensor.inputs[0].op == "ScatterND":
        node = tensor.inputs[0]
        ends.append(_fill(node.inputs[2]))
        tensor = node.inputs[0]
    if not tensor.inputs or tensor.inputs[0].op != "Pad" or len(ends) != 2 or ends[0] != ends[1]:
        raise _Unlike
    return tensor.inputs[0].inputs[0], ends[0]


def _fill(tensor: gs.Tensor) -> np.float32:
    while tensor.inputs and tensor.inputs[0].op in _CARRIED:
        tensor = tensor.inputs[0].inputs[0]
    if tensor.inputs and tensor.inputs[0].op == "ConstantOfShape":
        value = tensor.inputs[0].attrs.get("value")
        return np.float32(0) if value is None else _number(value.values)
    if isinstance(tensor, gs.Constant) and np.unique(tensor.values).size == 1:
        return _number(tensor.values)
    raise _Unlike


def _least(node: gs.Node, steps: int) -> np.float32:
    """What is added last: Softmax, Mul, Add or Softplus, Add."""
    for _ in range(steps):
        node = _only([n for n in node.outputs[0].outputs if n.op in ("Mul", "Add")])
    if node.op != "Add":
        raise _Unlike
    return _scalar(_only([tensor for tensor in node.inputs if isinstance(tensor, gs.Constant)]))


def _bins(widths: gs.Variable) -> int:
    """From the convolution that makes all sizes: 3 bins - 1 channels."""
    queue, seen = list(widths.inputs), set()
    while queue:
        node = queue.pop(0)
        if node.op == "Conv":
            bins, rest = divmod(int(node.inputs[1].shape[0]) + 1, 3)
            if rest or bins < 2:
                raise _Unlike
            return bins
        if id(node) not in seen:
            seen.add(id(node))
            queue += [before for tensor in node.inputs for before in tensor.inputs]
    raise _Unlike


LAST = np.array([-1], np.int64)
BEFORE = np.array([0, 0, 0, 1, 0, 0, 0, 0], np.int64)
AFTER = np.roll(BEFORE, 4)
NUMBER = int(onnx.TensorProto.FLOAT)
WHOLE = int(onnx.TensorProto.INT64)


def _rewritten(lines: Lines, flow: _Flow) -> gs.Variable:
    """x with spline(x) = y inside the tails, a root of a quadratic in each bin; y itself outside them."""
    y = lines("Unsqueeze", lines("Clip", flow.y, flow.low, flow.high), LAST)
    x_at, wide = _knots(lines, flow, flow.widths, flow.least[0])
    y_at, tall = _knots(lines, flow, flow.heights, flow.least[1])
    slopes = lines("Softplus", lines("Pad", flow.slopes, BEFORE + AFTER, flow.edge))
    slopes = lines("Add", slopes, flow.least[2])
    inner = lines("Slice", y_at, np.array([1]), np.array([flow.bins]), LAST)
    passed = lines("Cast", lines("GreaterOrEqual", y, inner), to=NUMBER)
    place = lines("Cast", lines("ReduceSum", passed, LAST, keepdims=1), to=WHOLE)

    def here(table: gs.Variable) -> gs.Variable:
        return lines("GatherElements", table, place, axis=-1)

    x0, width, y0, height = here(x_at), here(wide), here(y_at), here(tall)
    left = here(slopes)
    right = here(lines("Slice", slopes, np.array([1]), np.array([flow.bins + 1]), LAST))
    rise = here(lines("Div", tall, wide))
    root = _root(lines, lines("Sub", y, y0), height, rise, (left, right))
    x = lines("Add", lines("Mul", root, width), x0)
    return lines("Where", flow.inside, lines("Squeeze", x, LAST), flow.y)


def _knots(
    lines: Lines, flow: _Flow, sizes: gs.Variable, least: np.float32
) -> tuple[gs.Variable, gs.Variable]:
    """The knots [1,1,T,bins+1] from low to high, both exact, and the sizes between them.

    The running sum is spelt out, in CumSum's order and so bit for bit: TensorRT makes a loop of CumSum, and
    INT8 or TF32 would take hold of a matrix product.
    """
    bins = flow.bins
    share = lines("Softmax", sizes, axis=-1)
    share = lines("Add", lines("Mul", share, np.float32(1) - np.float32(bins) * least), least)
    parts = lines.split(share, [1] * bins)
    sums = list(accumulate(parts[:-1], lambda before, part: lines("Add", before, part)))
    inner = lines("Add", lines("Mul", lines("Concat", *sums, axis=-1), flow.high - flow.low), flow.low)
    knots = lines("Pad", lines("Pad", inner, BEFORE, flow.low), AFTER, flow.high)
    upper = lines("Slice", knots, np.array([1]), np.array([bins + 1]), LAST)
    return knots, lines("Sub", upper, lines("Slice", knots, np.array([0]), np.array([bins]), LAST))


def _root(
    lines: Lines, up: gs.Variable, height: gs.Variable, rise: gs.Variable, slopes: tuple[gs.Variable, ...]
) -> gs.Variable:
    """How far into its bin (0 to 1) it has risen by ``up``: 2c / (-b - sqrt(b² - 4ac))."""
    left, right = slopes
    bend = lines("Mul", up, lines("Sub", lines("Add", left, right), lines("Mul", rise, np.float32(2))))
    a = lines("Add", bend, lines("Mul", height, lines("Sub", rise, left)))
    b = lines("Sub", lines("Mul", height, left), bend)
    c = lines("Mul", lines("Neg", rise), up)
    product = lines("Mul", lines("Mul", a, np.float32(4)), c)
    # Never below zero but by rounding, which is another one on every engine.
    root = lines("Sqrt", lines("Relu", lines("Sub", lines("Mul", b, b), product)))
    return lines("Div", lines("Mul", c, np.float32(2)), lines("Sub", lines("Neg", b), root))
