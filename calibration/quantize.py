"""INT8 files in the two forms that the engines need, with explicit Q/DQ around chosen layers.

"cpu" (ONNX Runtime): unsigned asymmetric activations, signed per-channel weights, INT32 biases; signed
activations were slower and worse on x86. "tensorrt": signed symmetric activations, zero points of 0, biases
in floating point and transposed convolutions untouched, because its parser refuses or slows down the rest.
"cpu-dynamic": activations are measured while running; for matrix products on CPU only, no calibration.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from calibration import graph, preflight
from calibration.census import HEAVY, explicit_int8, integer_operators
from calibration.half import to_half
from calibration.insert import Inserter, Range, Scheme
from calibration.ranges import Histogram, Window, bounds, collect
from edgevoice.errors import EdgevoiceError

FORMS = ("cpu", "cpu-dynamic", "tensorrt", "tensorrt-fp16")
OPERATORS = ("Conv", "MatMul", "Gemm")


@dataclass(frozen=True)
class QuantReport:
    """What was quantised, how, and what really runs in INT8."""

    path: str
    method: str
    """Calibration method; "none" for the dynamic form."""
    bytes: int
    quantised: tuple[str, ...]
    """Names of the layers in INT8."""
    left: tuple[str, ...]
    """Quantisable layers that stayed in floating point."""
    operators: dict[str, int] = field(default_factory=dict)
    """Integer operators after ONNX Runtime's optimisation (CPU forms); Q/DQ-fed layers by type (TensorRT
    forms)."""


def quantisable(model: onnx.ModelProto, op_types: Collection[str] = OPERATORS) -> list[onnx.NodeProto]:
    """Layers with a constant weight that INT8 may touch, in graph order."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type not in op_types or len(node.input) < 2 or node.input[0] in weights:
            continue
        weight = weights.get(node.input[1])
        fits = weight is not None and weight.data_type == onnx.TensorProto.FLOAT and len(weight.dims) >= 2
        if weight is not None and node.op_type == "MatMul" and len(weight.dims) > 2:
            continue  # ONNX Runtime fuses a stack of matrices, and then refuses its zero points while running
        if fits and (node.op_type != "Gemm" or _plain_gemm(node)):
            found.append(node)
    return found


def _plain_gemm(node: onnx.NodeProto) -> bool:
    """Rows times weights plus bias: anything scaled or turned has another bias scale."""
    factors = [entry.f for entry in node.attribute if entry.name in ("alpha", "beta")]
    return all(factor == 1.0 for factor in factors) and not graph.attribute(node, "transA", 0)


def measure_ranges(
    model_path: str | Path, reader: Sequence[Window], op_types: Collection[str] = OPERATORS
) -> dict[str, Histogram]:
    """Histograms of every tensor that quantising any layer could need; one run serves all methods and layer
    sets."""
    model = prepare(model_path, "cpu")
    layers = quantisable(model, op_types)
    if not layers:
        raise EdgevoiceError(
            f"{model_path} has no layer of {', '.join(op_types)} with constant weights to quantise"
        )
    names = {node.input[0] for node in layers} | {node.output[0] for node in layers}
    return collect(model, names, reader)


def without_range(model_path: str | Path, histograms: Mapping[str, Histogram], form: str = "cpu") -> set[str]:
    """Names of the layers that must stay in floating point because a tensor of theirs never changed."""
    scheme = Scheme.of(form, reduce_range=True)
    layers = quantisable(graph.load(model_path))
    return {node.name for node in layers if any(name not in histograms for name in _measured(node, scheme))}


def prepare(model_path: str | Path, form: str) -> onnx.ModelProto:
    """The model tidied and at the opset that ``form`` needs: 13 for per-channel scales, 19 for half ones."""
    return graph.at_opset(graph.load(model_path), 19 if form.startswith("tensorrt") else 13)


def quantize(
    model_path: str | Path,
    out_path: str | Path,
    reader: Sequence[Window] = (),
    *,
    form: str = "cpu",
    method: str = "percentile",
    exclude: Collection[str] = (),
    op_types: Collection[str] = OPERATORS,
    histograms: Mapping[str, Histogram] | None = None,
    percentile: float = 99.9,
    reduce_range: bool = True,
    check: bool = True,
) -> QuantReport:
    """Write an INT8 version of ``model_path`` and say what it is.

    reader: windows, dicts of the model's inputs (`calibration.data.windows`); ``histograms`` from
    `measure_ranges` spare running them again. exclude: names of layers that stay in floating point.
    reduce_range: 7-bit weights in the CPU forms, since x86 without VNNI adds pairs of products in 16 bits and
    saturates with 8 (no effect on the TensorRT forms).
    check: refuse a file in which nothing runs in INT8, or that TensorRT would refuse; off only inside
    searches.

    Raises EdgevoiceError for unknown forms, methods and layer names, missing or unfit data, and such files.
    """
    if form not in FORMS:
        raise EdgevoiceError(f"unknown INT8 form {form!r}: known are {', '.join(FORMS)}")
    model = prepare(model_path, form)
    everything = quantisable(model, op_types)
    chosen = _choose(everything, exclude, model_path)
    if form == "cpu-dynamic":
        made = _dynamic(model, [node for node in chosen if node.op_type == "MatMul"], reduce_range)
        method = "none"
    else:
        histograms = histograms or measure_ranges(model_path, reader, op_types)
        scheme = Scheme.of(form, reduce_range)
        chosen = _alive(chosen, histograms, scheme, model_path)
        ranges = _ranges(chosen, histograms, method, scheme, percentile)
        made = Inserter(model, scheme, ranges).apply([node.name for node in chosen])
    if form == "tensorrt-fp16":
        to_half(model)
    return _write(model, out_path, form, method, made, everything, check)


def _choose(
    layers: Sequence[onnx.NodeProto], exclude: Collection[str], path: str | Path
) -> list[onnx.NodeProto]:
    unknown = sorted(set(exclude) - {node.name for node in layers})
    if unknown:
        raise EdgevoiceError(f"{path} has no quantisable layer {unknown[0]!r} to leave out")
    chosen = [node for node in layers if node.name not in exclude]
    if not chosen:
        raise EdgevoiceError(f"every layer of {path} is left out, so there is nothing to quantise")
    return chosen


def _measured(node: onnx.NodeProto, scheme: Scheme) -> list[str]:
    """The tensors whose ranges a layer needs."""
    return [node.input[0], *([node.output[0]] if scheme.outputs and node.op_type == "Conv" else [])]


def _alive(
    layers: Sequence[onnx.NodeProto], histograms: Mapping[str, Histogram], scheme: Scheme, path: str | Path
) -> list[onnx.NodeProto]:
    """The layers whose tensors have ranges; a dead branch stays in floating point."""
    alive = [node for node in layers if all(name in histograms for name in _measured(node, scheme))]
    if not alive:
        raise EdgevoiceError(
            f"calibration has no ranges for the layers of {path}: measure them with its op_types"
        )
    return alive


def _ranges(
    layers: Sequence[onnx.NodeProto],
    histograms: Mapping[str, Histogram],
    method: str,
    scheme: Scheme,
    percentile: float,
) -> dict[str, Range]:
    names = {name for node in layers for name in _measured(node, scheme)}
    return {
        name: Range(*bounds(histograms[name], method, scheme.symmetric, percentile)) for name in sorted(names)
    }


def _dynamic(model: onnx.ModelProto, layers: Sequence[onnx.NodeProto], reduce_range: bool) -> list[str]:
    """ONNX Runtime's own dynamic quantiser for the matrix products among ``layers``; convolutions stay."""
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization.onnx_quantizer import ONNXQuantizer

    if not layers:
        raise EdgevoiceError("dynamic quantisation is for matrix products, and this model has none")
    maker = ONNXQuantizer(
        model,
        per_channel=True,
        reduce_range=reduce_range,
        mode=_integer_mode(),
        static=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=None,
        nodes_to_quantize=[node.name for node in layers],
        nodes_to_exclude=[],
        op_types_to_quantize=["MatMul"],  # of a Gemm it makes a product in floating point
        extra_options={"MatMulConstBOnly": True, "DefaultTensorType": 1},
    )
    maker.quantize_model()
    made = [node.name for node in layers]
    model.CopyFrom(maker.model.model)
    return made


def _integer_mode() -> object:
    from onnxruntime.quantization.quant_utils import QuantizationMode

    return QuantizationMode.IntegerOps


def _write(
    model: onnx.ModelProto,
    out_path: str | Path,
    form: str,
    method: str,
    made: Sequence[str],
    everything: Sequence[onnx.NodeProto],
    check: bool,
) -> QuantReport:
    graph.drop_unused(model)
    tensorrt = form.startswith("tensorrt")
    if tensorrt and check:
        preflight.require(model, str(out_path))
    temporary = Path(out_path).with_name(f".{Path(out_path).name}.unchecked")
    size = graph.save(model, temporary)
    try:
        operators = _explicit(model) if tensorrt else integer_operators(temporary) if check else {}
        if check and not any(tensorrt or name in HEAVY for name in operators):
            raise EdgevoiceError(f"nothing in {out_path} would run in INT8, so it is not written")
        temporary.replace(out_path)
    finally:
        temporary.unlink(missing_ok=True)
    names = tuple(node.name for node in everything)
    left = tuple(name for name in names if name not in set(made))
    return QuantReport(str(out_path), method, size, tuple(made), left, operators)


def _explicit(model: onnx.ModelProto) -> dict[str, int]:
    kinds = {node.name: node.op_type for node in model.graph.node}
    names, counts = np.unique([kinds[name] for name in explicit_int8(model)] or [""], return_counts=True)
    return {str(name): int(count) for name, count in zip(names, counts, strict=True) if name}
