"""Small helpers over an ONNX graph: loading, constants, neighbours, versions, and saving whole or not at
all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper, version_converter

from calibration.atomic import atomic
from edgevoice.errors import EdgevoiceError

OPSET = 19
"""Newest opset that is written: half-precision scales need it, and onnxruntime 1.23.2 reads no newer than
23."""
IR_VERSION = 9


def load(path: str | Path) -> onnx.ModelProto:
    """Read a model; constants become initializers and every node gets a name."""
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf raises its own types
        raise EdgevoiceError(f"{path} cannot be read as an ONNX model: {error}") from error
    return tidy(model)


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Change ``model`` in place: lift Constant nodes to initializers, name nameless nodes."""
    graph, kept = model.graph, []
    for index, node in enumerate(graph.node):
        value = next((a for a in node.attribute if a.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            tensor = onnx.TensorProto()
            tensor.CopyFrom(value.t)
            tensor.name = node.output[0]
            graph.initializer.append(tensor)
            continue
        node.name = node.name or f"{node.op_type}_{index}"
        kept.append(node)
    copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
    del graph.node[:]
    graph.node.extend(copies)
    return model


def at_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    """The model at ``opset`` or newer, at most `OPSET`, with an IR version the oldest runtime reads."""
    current = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if current > OPSET:
        raise EdgevoiceError(f"the model has opset {current}: export it with opset {OPSET} or lower")
    if current < opset:
        try:
            model = tidy(version_converter.convert_version(model, opset))
        except RuntimeError as error:
            raise EdgevoiceError(
                f"the model cannot be taken from opset {current} to {opset}, export it anew: {error}"
            ) from error
    model.ir_version = min(max(model.ir_version, 8), IR_VERSION)
    return model


def constants(model: onnx.ModelProto) -> dict[str, npt.NDArray[np.generic]]:
    """Every initializer as an array, by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def consumers(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read each tensor."""
    found: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            if name:
                found[name].append(node)
    return found


def producers(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """The node that writes each tensor."""
    return {name: node for node in graph.node for name in node.output if name}


def leading_only_to(model: onnx.ModelProto, output: str) -> set[str]:
    """Names of the nodes on which ``output`` depends and no other output does."""
    others = [entry.name for entry in model.graph.output if entry.name != output]
    return _before(model, [output]) - _before(model, others)


def _before(model: onnx.ModelProto, tensors: Sequence[str]) -> set[str]:
    made, found, waiting = producers(model.graph), set(), list(tensors)
    while waiting:
        node = made.get(waiting.pop())
        if node is not None and node.name not in found:
            found.add(node.name)
            waiting.extend(node.input)
    return found


def attribute(node: onnx.NodeProto, name: str, default: int) -> int:
    """An integer attribute of ``node``."""
    return next((int(entry.i) for entry in node.attribute if entry.name == name), default)


def drop_unused(model: onnx.ModelProto) -> None:
    """Remove initializers that no node reads, in place."""
    read = {name for node in model.graph.node for name in node.input}
    read.update(output.name for output in model.graph.output)
    kept = [tensor for tensor in model.graph.initializer if tensor.name in read]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def save(model: onnx.ModelProto, path: str | Path) -> int:
    """Write ``model`` whole or not at all; returns its bytes. Raises `calibration.atomic.CannotWrite`."""
    data = model.SerializeToString()
    with atomic(path) as file:
        file.write(data)
    return len(data)
