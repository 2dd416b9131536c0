"""What TensorRT's ONNX importer refuses or runs badly, found before a file is written for it.

The rules were learnt from TensorRT for RTX 1.7's parser and builder and from NVIDIA's own issue threads;
public checkers passed files that the parser refused. Each finding names the node and the mend.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, numpy_helper

from calibration.graph import consumers, producers
from edgevoice.errors import EdgevoiceError

UNSUPPORTED = frozenset(
    [
        "BitShift",
        "BitwiseAnd",
        "BitwiseNot",
        "BitwiseOr",
        "BitwiseXor",
        "Bernoulli",
        "Compress",
        "ConcatFromSequence",
        "ConvInteger",
        "DFT",
        "DeformConv",
        "DynamicQuantizeLinear",
        "MatMulInteger",
        "MelWeightMatrix",
        "Multinomial",
        "NonZero",
        "Optional",
        "OptionalGetElement",
        "OptionalHasElement",
        "QLinearConv",
        "QLinearMatMul",
        "STFT",
        "SequenceAt",
        "SequenceConstruct",
        "SequenceEmpty",
        "SequenceErase",
        "SequenceInsert",
        "SequenceLength",
        "SequenceMap",
        "SplitToSequence",
        "StringNormalizer",
        "TfIdfVectorizer",
        "Unique",
    ]
)
MENDS = {
    "NonZero": "its size depends on data: rewrite it with clamp and Where, or run the stage on ONNX Runtime",
    "DynamicQuantizeLinear": "use static Q/DQ: dynamically quantised files are for ONNX Runtime only",
    "ConvInteger": "use Q/DQ around a float Conv",
    "MatMulInteger": "use Q/DQ around a float MatMul",
    "QLinearConv": "use Q/DQ around a float Conv",
    "QLinearMatMul": "use Q/DQ around a float MatMul",
    "STFT": "export the transform as a convolution with a fixed basis, or leave it to the host",
    "DFT": "export the transform as a matrix product, or leave it to the host",
}
PRODUCTS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
PASSING = (
    "Identity",
    "Cast",
    "Reshape",
    "Expand",
    "Slice",
    "Unsqueeze",
    "Squeeze",
    "Transpose",
    "Flatten",
    "Tile",
)
"""Operators through which a tensor of zeros stays one."""


@dataclass(frozen=True)
class Finding:
    """One reason why TensorRT would refuse a graph, or run it badly."""

    rule: str
    node: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.node}: {self.what} ({self.mend})"


class _Graph:
    """One graph of a model with the look-ups that the rules share.

    ``outer``: the graph that it stands in as the body of a condition or loop, whose names are known in it.
    """

    def __init__(self, graph: onnx.GraphProto, opset: int, outer: _Graph | None = None) -> None:
        self.nodes, self.opset = list(graph.node), opset
        self.made: dict[str, onnx.NodeProto] = {**(outer.made if outer else {}), **producers(graph)}
        self.read = consumers(graph)
        own = {tensor.name: tensor for tensor in graph.initializer}
        self.tensors: dict[str, onnx.TensorProto] = {**(outer.tensors if outer else {}), **own}
        self.types: dict[str, int] = {**(outer.types if outer else {}), **_types(graph)}

    def inner(self) -> Iterator[_Graph]:
        """The bodies of its conditions and loops, and theirs."""
        for attribute in (attribute for node in self.nodes for attribute in node.attribute):
            for body in (attribute.g, *attribute.graphs):
                if body.node:
                    graph = _Graph(body, self.opset, self)
                    yield graph
                    yield from graph.inner()

    def value(self, name: str) -> npt.NDArray[np.generic] | None:
        """A constant's numbers, whether an initializer or a Constant node."""
        if name in self.tensors:
            return numpy_helper.to_array(self.tensors[name])
        node = self.made.get(name)
        if node is not None and node.op_type == "Constant":
            return next((numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), None)
        return None

    def zeros(self, name: str) -> bool:
        """Whether a tensor is known to hold nothing but zeros."""
        value = self.value(name)
        if value is not None:
            return value.dtype.kind in "fiu" and value.size > 0 and not np.any(value)
        node = self.made.get(name)
        if node is None:
            return False
        if node.op_type == "ConstantOfShape":
            fill = next(
                (numpy_helper.to_array(a.t) for a in node.attribute if a.name == "value"), np.zeros(1)
            )
            return not np.any(fill)
        if node.op_type in ("Mul", "Split"):
            return any(self.zeros(source) for source in node.input if source)
        return node.op_type in PASSING and self.zeros(node.input[0])


def _types(graph: onnx.GraphProto) -> dict[str, int]:
    entries = [*graph.value_info, *graph.input, *graph.output]
    types = {entry.name: int(entry.type.tensor_type.elem_type) for entry in entries}
    types.update({tensor.name: tensor.data_type for tensor in graph.initializer})
    return types


def _inferred(model: onnx.ModelProto) -> onnx.ModelProto:
    try:
        return onnx.shape_inference.infer_shapes(model)
    except (
        onnx.shape_inference.InferenceError,
        RuntimeError,
        ValueError,
    ):  # a graph that cannot be inferred is still checked by the other rules
        return model


def check(model: onnx.ModelProto) -> list[Finding]:
    """Every finding of every rule, in the graph's order within a rule; empty for a file that may travel."""
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    graph = _Graph(_inferred(model).graph, opset)
    return [finding for rule in RULES for part in (graph, *graph.inner()) for finding in rule(part)]


def require(model: onnx.ModelProto, name: str) -> None:
    """Raise EdgevoiceError with each rule's first finding; the line ends up in tables and manifests."""
    findings = check(model)
    if findings:
        firsts = list({finding.rule: finding for finding in reversed(findings)}.values())[::-1]
        rest = f"; and {len(findings) - len(firsts)} more" if len(findings) > len(firsts) else ""
        raise EdgevoiceError(f"TensorRT would not take {name}: " + "; ".join(map(str, firsts)) + rest)


def _operators(graph: _Graph) -> Iterator[Finding]:
    for node in graph.nodes:
        if node.op_type in UNSUPPORTED or node.domain not in ("", "ai.onnx"):
            kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            mend = MENDS.get(
                node.op_type, "export it with standard operators, or run the stage on ONNX Runtime"
            )
            yield Finding("operator", node.name, f"TensorRT imports no {kind}", mend)


def _quantisers(graph: _Graph) -> Iterator[Finding]:
    for node in graph.nodes:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        kind = graph.types.get(node.input[2] if len(node.input) > 2 else node.input[0], 0)
        if node.op_type == "DequantizeLinear":
            kind = graph.types.get(node.input[0], kind)
        if kind == TensorProto.INT32:
            yield Finding("bias", node.name, "dequantises an INT32 bias", "keep biases in floating point")
            continue
        if kind not in (0, TensorProto.INT8):
            name = TensorProto.DataType.Name(kind)
            yield Finding("type", node.name, f"quantises to {name}", "use signed INT8 with zero points of 0")
        zero = graph.value(node.input[2]) if len(node.input) > 2 else None
        if zero is not None and np.any(zero):
            yield Finding(
                "zero-point", node.name, "has a zero point other than 0", "calibrate symmetric ranges"
            )
        if graph.types.get(node.input[1]) == TensorProto.FLOAT16 and graph.opset < 19:
            yield Finding(
                "opset", node.name, "has a half-precision scale below opset 19", "export with opset 19"
            )


def _casts(graph: _Graph) -> Iterator[Finding]:
    for node in graph.nodes:
        source = graph.made.get(node.input[0]) if node.op_type == "Cast" else None
        if source is None or source.op_type != "DequantizeLinear":
            continue
        readers = [reader.name for name in node.output for reader in graph.read.get(name, [])
                   if reader.op_type in PRODUCTS]  # fmt: skip
        if readers:
            mend = "convert the scales to half precision instead, so that the layer stays in INT8"
            yield Finding("cast", node.name, f"stands between DequantizeLinear and {readers[0]}", mend)


def _transposed(graph: _Graph) -> Iterator[Finding]:
    for node in graph.nodes:
        sources = [graph.made.get(name) for name in node.input] if node.op_type == "ConvTranspose" else []
        if any(source is not None and source.op_type == "DequantizeLinear" for source in sources):
            mend = "leave it in floating point: INT8 transposed convolutions are slower than FP16"
            yield Finding("transposed", node.name, "is a quantised transposed convolution", mend)


def _zero_additions(graph: _Graph) -> Iterator[Finding]:
    for node in graph.nodes:
        if node.op_type != "Add":
            continue
        for name, other in ((node.input[0], node.input[1]), (node.input[1], node.input[0])):
            source = graph.made.get(name)
            if source is not None and source.op_type in ("Conv", "ConvTranspose") and graph.zeros(other):
                mend = "remove the addition: the builder takes it for a bias of the wrong rank"
                yield Finding("zero-add", node.name, f"adds zeros to {source.name}", mend)


def _ranges(graph: _Graph) -> Iterator[Finding]:
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    for node in graph.nodes:
        if node.op_type == "Range" and any(graph.types.get(name) in floats for name in node.input):
            mend = "cast to INT64 first, or expand durations on the host"
            yield Finding("range", node.name, "takes its limits from floating point numbers", mend)


def _doubles(graph: _Graph) -> Iterator[Finding]:
    for node in graph.nodes:
        if any(graph.types.get(name) == TensorProto.DOUBLE for name in [*node.input, *node.output]):
            yield Finding("double", node.name, "computes in double precision", "export the model in FP32")


RULES: tuple[Callable[[_Graph], Iterator[Finding]], ...] = (
    _operators, _quantisers, _casts, _transposed, _zero_additions, _ranges, _doubles,
)  # fmt: skip
