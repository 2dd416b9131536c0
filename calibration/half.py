"""Half precision: every float tensor of a graph in FP16, inputs and outputs stay FP32.

Q/DQ scales are converted like any other tensor, so a quantised graph becomes one that a strongly typed
TensorRT network takes as it is. Blocking the Q/DQ nodes instead puts Casts between DequantizeLinear and Conv,
and 9 of 20 convolutions then fell out of INT8.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from calibration import graph
from calibration.ranges import Window, session, with_outputs
from edgevoice.errors import EdgevoiceError

LARGEST = 65504.0
BLOCKED: tuple[str, ...] = ("Range", "RandomNormalLike", "RandomUniformLike", "CumSum")
"""Operators that stay in FP32: counters and sums run out of FP16's 11 bits, noise has no half kernel
everywhere."""
SINGLE = "single_"
"""Nodes whose names begin so stay in FP32, and what passes between two of them: who writes a part of a graph
that FP16 would spoil names its nodes so."""
_FLOAT_INPUTS: dict[str, tuple[int, ...]] = {"Resize": (1, 2), "Upsample": (1,)}
"""Inputs that the operator demands in FP32 whatever its data's type."""


@dataclass(frozen=True)
class HalfReport:
    """Difference between FP16 and FP32 outputs over some windows."""

    largest: float
    """Largest magnitude that any tensor of the FP32 graph reached; FP16 ends at 65,504."""
    worst: float
    """Largest absolute difference."""
    snr_db: float
    """Energy of the FP32 output against that of the difference."""


def fp16(model: onnx.ModelProto, block: Collection[str] = BLOCKED) -> onnx.ModelProto:
    """A copy of ``model`` in FP16 with FP32 inputs and outputs; ``block`` names operator types that stay
    FP32."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    to_half(graph.tidy(copy), block)
    return copy


def to_half(model: onnx.ModelProto, block: Collection[str] = BLOCKED) -> None:
    """Convert in place.

    Raises EdgevoiceError for subgraphs (If, Loop) and for weights outside half precision's range.
    """
    _refuse(model)
    floats = _float_tensors(model)
    _initializers(model)
    _attributes(model, block)
    _casts(model, block, floats)
    del model.graph.value_info[:]


def _refuse(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if any(entry.type == onnx.AttributeProto.GRAPH for entry in node.attribute):
            raise EdgevoiceError(
                f"{node.name} ({node.op_type}) holds a subgraph, which FP16 conversion does not take"
            )


def _single(node: onnx.NodeProto, block: Collection[str]) -> bool:
    return node.op_type in block or node.name.startswith(SINGLE)


def _initializers(model: onnx.ModelProto) -> None:
    """Convert the weights, but numbers that only nodes named `SINGLE` read."""
    read = {name for node in model.graph.node if not node.name.startswith(SINGLE) for name in node.input}
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or tensor.name not in read:
            continue
        values = numpy_helper.to_array(tensor)
        if values.size and float(np.abs(values).max()) > LARGEST and np.isfinite(values).all():
            raise EdgevoiceError(
                f"the weight {tensor.name} exceeds half precision's largest number: keep it in FP32"
            )
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))


def _attributes(model: onnx.ModelProto, block: Collection[str]) -> None:
    """Casts to float and constant fills become half, unless blocked."""
    for node in model.graph.node:
        if _single(node, block):
            continue
        if node.op_type == "ConstantOfShape" and not node.attribute:
            node.attribute.append(
                helper.make_attribute("value", numpy_helper.from_array(np.zeros(1, np.float32)))
            )
        for entry in node.attribute:
            if entry.name in ("to", "dtype") and entry.i == TensorProto.FLOAT:
                entry.i = TensorProto.FLOAT16
            elif entry.type == onnx.AttributeProto.TENSOR and entry.t.data_type == TensorProto.FLOAT:
                entry.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(entry.t).astype(np.float16)))


def _casts(model: onnx.ModelProto, block: Collection[str], floats: set[str]) -> None:
    """Put Casts at the graph's ends and around blocked nodes."""
    nodes: list[onnx.NodeProto] = []
    renamed: dict[str, str] = {}
    singles = {tensor.name: tensor.name for tensor in model.graph.initializer
               if tensor.data_type == TensorProto.FLOAT}  # fmt: skip
    for entry in model.graph.input:
        if entry.type.tensor_type.elem_type == TensorProto.FLOAT:
            singles[entry.name], renamed[entry.name] = entry.name, f"{entry.name}_half"
            nodes.append(_cast(entry.name, renamed[entry.name], TensorProto.FLOAT16))
    ends = {o.name for o in model.graph.output if o.type.tensor_type.elem_type == TensorProto.FLOAT}
    for node in model.graph.node:
        single = _single(node, block)
        nodes += _node_casts(node, single, renamed, floats, singles)
        for index, name in enumerate(node.output):
            if name in ends:
                node.output[index] = renamed[name] = f"{name}_half"
        nodes.append(node)
        if single:
            nodes += _back(node, floats, singles)
    nodes += [_cast(renamed[name], name, TensorProto.FLOAT) for name in sorted(ends)]
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in _read(nodes, model)]
    del model.graph.node[:]
    model.graph.node.extend(copies)


def _node_casts(
    node: onnx.NodeProto, single: bool, renamed: dict[str, str], floats: set[str], singles: dict[str, str]
) -> list[onnx.NodeProto]:
    """Point ``node`` at renamed tensors, or at their ``singles``; return the Casts to FP32 that it needs."""
    made = []
    wanted = range(len(node.input)) if single else _FLOAT_INPUTS.get(node.op_type, ())
    for index, name in enumerate(node.input):
        if not name:
            continue
        node.input[index] = renamed.get(name, name)
        if index in wanted and name in floats:
            if name not in singles:
                singles[name] = f"{name}_single"
                made.append(_cast(node.input[index], singles[name], TensorProto.FLOAT))
            node.input[index] = singles[name]
    return made


def _back(node: onnx.NodeProto, floats: set[str], singles: dict[str, str]) -> list[onnx.NodeProto]:
    """Casts to half after a blocked node, whose own output others like it read."""
    made = []
    for index, name in enumerate(node.output):
        original = name.removesuffix("_half")
        if name in floats or original in floats:
            node.output[index] = singles[original if name not in floats else name] = f"{name}_single"
            made.append(_cast(f"{name}_single", name, TensorProto.FLOAT16))
    return made


def _read(nodes: list[onnx.NodeProto], model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Without Casts that nobody reads."""
    read = {name for node in nodes for name in node.input} | {output.name for output in model.graph.output}
    return [node for node in nodes if node.op_type != "Cast" or node.output[0] in read]


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    """Names of the FP32 tensors, by shape inference."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    entries = [*inferred.value_info, *inferred.input, *inferred.output]
    floats = {e.name for e in entries if e.type.tensor_type.elem_type == TensorProto.FLOAT}
    return floats | {t.name for t in model.graph.initializer if t.data_type == TensorProto.FLOAT}


def _cast(source: str, name: str, to: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [name], f"{name}_Cast", to=to)


def scan(single: onnx.ModelProto, half: onnx.ModelProto, windows: Sequence[Window]) -> HalfReport:
    """Compare both over ``windows``.

    Raises EdgevoiceError where a tensor of the FP32 graph leaves FP16's range, or FP16 gives NaN or infinity.
    The first has to be looked for: ONNX Runtime's CPU kernels compute half tensors in FP32 and never
    overflow.
    """
    largest = _within_half(single, windows)
    first, second = session(single), session(half)
    names = [output.name for output in first.get_outputs()]
    worst, signal, noise = 0.0, 0.0, 0.0
    for window in windows:
        exact, rough = first.run(names, dict(window)), second.run(names, dict(window))
        for name, a, b in zip(names, exact, rough, strict=True):
            if np.isfinite(a).all() and not np.isfinite(b).all():
                raise EdgevoiceError(f"FP16 overflows in {name}: keep more operators in FP32")
            apart = np.asarray(a, np.float64) - np.asarray(b, np.float64)
            worst = max(worst, float(np.abs(apart).max()))
            signal += float(np.sum(np.square(a, dtype=np.float64)))
            noise += float(np.sum(apart**2))
    return HalfReport(largest, worst, 10.0 * float(np.log10(max(signal, 1e-20) / max(noise, 1e-20))))


def _within_half(model: onnx.ModelProto, windows: Sequence[Window]) -> float:
    """Largest magnitude of any float tensor between nodes; too large a one is an error."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    typed = [*inferred.value_info, *inferred.output]
    floats = {entry.name for entry in typed if entry.type.tensor_type.elem_type == TensorProto.FLOAT}
    nodes = [node for node in model.graph.node if not node.name.startswith(SINGLE)]
    makers = {name: node for node in nodes for name in node.output if name in floats}
    runner = session(with_outputs(model, list(makers)), plain=True)
    largest = 0.0
    for window in windows:
        for name, values in zip(makers, runner.run(list(makers), dict(window)), strict=True):
            peak = float(np.abs(values).max(initial=0.0, where=np.isfinite(values)))
            if peak > LARGEST:
                node = makers[name]
                raise EdgevoiceError(
                    f"FP16 overflows in {name} ({node.op_type}, {peak:.0f}): keep {node.op_type} in FP32"
                )
            largest = max(largest, peak)
    return largest
