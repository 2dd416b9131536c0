"""Places QuantizeLinear and DequantizeLinear around chosen layers of one graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from calibration.graph import attribute, constants, consumers

Floats = npt.NDArray[np.floating[Any]]

SMALLEST_HALF = 6.2e-5
"""Smallest scale whose half-precision form keeps all its bits."""


@dataclass(frozen=True)
class Range:
    """Values of one tensor that INT8 covers; what lies outside is clipped."""

    low: float
    high: float


@dataclass(frozen=True)
class Scheme:
    """How numbers are stored and where Q/DQ goes."""

    signed: bool
    symmetric: bool
    levels: int
    """Largest weight magnitude: 127, or 63 with a reduced range."""
    bias: bool
    """Biases become INT32 with their own DequantizeLinear; ONNX Runtime fuses only then, TensorRT refuses
    it."""
    outputs: bool
    """Convolution outputs are quantised too: ONNX Runtime has no convolution from INT8 to float."""
    half: bool
    """Scales are rounded to half precision before anything is quantised with them."""

    @staticmethod
    def of(form: str, reduce_range: bool) -> Scheme:
        """The scheme of a form of `calibration.quantize`."""
        if form.startswith("tensorrt"):
            return Scheme(True, True, 127, bias=False, outputs=False, half=form.endswith("fp16"))
        return Scheme(False, False, 63 if reduce_range else 127, bias=True, outputs=True, half=False)


class Inserter:
    """Rewrites one model in place; made for one call of `apply`."""

    def __init__(self, model: onnx.ModelProto, scheme: Scheme, ranges: Mapping[str, Range]) -> None:
        self.model, self.scheme, self.ranges = model, scheme, ranges
        self.constants = constants(model)
        self.consumers = consumers(model.graph)
        self.graph_outputs = {output.name for output in model.graph.output}
        self.dequantised: dict[str, str] = {}
        self.scales: dict[str, float] = {}
        self.before: dict[str, list[onnx.NodeProto]] = {}
        self.after: dict[str, list[onnx.NodeProto]] = {}

    def apply(self, names: Sequence[str]) -> list[str]:
        """Quantise the named layers; returns the names in graph order."""
        chosen = set(names)
        layers = [node for node in self.model.graph.node if node.name in chosen]
        for node in layers:
            self._inputs(node)
        for node in layers:
            if self.scheme.outputs and node.op_type == "Conv":
                self._output(node)
        self._rebuild()
        return [node.name for node in layers]

    def _inputs(self, node: onnx.NodeProto) -> None:
        nodes = self.before.setdefault(node.name, [])
        source = node.input[0]
        if source not in self.dequantised:
            self.dequantised[source] = self._activation(source, source, nodes)
        data = self.dequantised[source]
        node.input[0] = data
        self._weight(node, source, nodes)

    def _activation(self, tensor: str, written: str, nodes: list[onnx.NodeProto]) -> str:
        """Q and DQ of ``written`` with the range of ``tensor``; returns the dequantised name."""
        scale, zero = self._scale(tensor)
        names = [f"{tensor}_scale", f"{tensor}_zero"]
        kind = np.int8 if self.scheme.signed else np.uint8
        self._constant(names[0], np.float32(scale))
        self._constant(names[1], kind(zero))
        quantised, back = f"{tensor}_quantised", f"{tensor}_dequantised"
        nodes.append(helper.make_node("QuantizeLinear", [written, *names], [quantised], f"{tensor}_Q"))
        nodes.append(helper.make_node("DequantizeLinear", [quantised, *names], [back], f"{tensor}_DQ"))
        return back

    def _scale(self, tensor: str) -> tuple[float, int]:
        found = self.ranges[tensor]
        if self.scheme.symmetric:
            scale, zero = max(-found.low, found.high) / 127.0, 0
        else:
            scale = (found.high - found.low) / 255.0
            zero = int(np.clip(round(-found.low / max(scale, 1e-12)), 0, 255))
        self.scales[tensor] = self._round(np.array([scale]))[0]
        return self.scales[tensor], zero

    def _round(self, scales: Floats) -> Floats:
        floored = np.maximum(scales, SMALLEST_HALF if self.scheme.half else 1e-12)
        return floored.astype(np.float16 if self.scheme.half else np.float32).astype(np.float64)

    def _weight(self, node: onnx.NodeProto, source: str, nodes: list[onnx.NodeProto]) -> None:
        weight = self.constants[node.input[1]].astype(np.float64)
        axis = _channel_axis(node, weight.ndim)
        bias = self.constants.get(node.input[2]) if len(node.input) > 2 else None
        scales = np.abs(np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)).max(axis=1)
        scales = self._round(scales / self.scheme.levels)
        rounds_bias = bias is not None and bias.ndim == 1 and self.scheme.bias
        if bias is not None and rounds_bias:
            # a channel of tiny weights with a large bias would overflow the INT32 bias
            scales = np.maximum(scales, np.abs(bias) / (self.scales[source] * 2.0**30))
        shape = [1] * weight.ndim
        shape[axis] = -1
        rounded = np.round(weight / scales.reshape(shape))
        whole = np.clip(rounded, -self.scheme.levels, self.scheme.levels).astype(np.int8)
        node.input[1] = self._stored(f"{node.name}_weight", whole, scales, axis, nodes)
        if bias is not None and rounds_bias:
            steps = self.scales[source] * scales
            node.input[2] = self._stored(
                f"{node.name}_bias", np.round(bias / steps).astype(np.int32), steps, 0, nodes
            )

    def _stored(
        self,
        name: str,
        values: npt.NDArray[np.signedinteger[npt.NBitBase]],
        scales: Floats,
        axis: int,
        nodes: list[onnx.NodeProto],
    ) -> str:
        """A constant in integers with its per-channel DequantizeLinear; returns the dequantised name."""
        names = [f"{name}_quantised", f"{name}_scale", f"{name}_zero"]
        self._constant(names[0], values)
        self._constant(names[1], scales.astype(np.float32))
        self._constant(names[2], np.zeros(scales.shape, values.dtype))
        back = f"{name}_dequantised"
        nodes.append(helper.make_node("DequantizeLinear", names, [back], f"{name}_DQ", axis=axis))
        return back

    def _output(self, node: onnx.NodeProto) -> None:
        """Quantise what a convolution writes; a reader that quantises the tensor already shares the pair."""
        tensor = node.output[0]
        raw = f"{tensor}_float"
        shared = tensor in self.dequantised
        if shared:
            self._drop_pair(tensor)
        nodes = self.after.setdefault(node.name, [])
        back = self._activation(tensor, raw, nodes)
        node.output[0] = raw
        if tensor in self.graph_outputs:
            nodes.append(helper.make_node("Identity", [back], [tensor], f"{tensor}_out"))
        for reader in self.consumers.get(tensor, []):
            for index, name in enumerate(reader.input):
                if name == tensor:
                    reader.input[index] = back

    def _drop_pair(self, tensor: str) -> None:
        for nodes in self.before.values():
            nodes[:] = [node for node in nodes if node.name not in (f"{tensor}_Q", f"{tensor}_DQ")]

    def _constant(self, name: str, value: npt.ArrayLike) -> None:
        if name not in self.constants:
            array = np.asarray(value)
            self.constants[name] = array
            self.model.graph.initializer.append(numpy_helper.from_array(array, name))

    def _rebuild(self) -> None:
        ordered: list[onnx.NodeProto] = []
        for node in self.model.graph.node:
            ordered += [*self.before.get(node.name, []), node, *self.after.get(node.name, [])]
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in ordered]
        del self.model.graph.node[:]
        self.model.graph.node.extend(copies)


def _channel_axis(node: onnx.NodeProto, rank: int) -> int:
    """Axis of the output channels of a layer's weight."""
    if node.op_type == "MatMul":
        return rank - 1
    if node.op_type == "Gemm":
        return 0 if attribute(node, "transB", 0) else 1
    return 0
