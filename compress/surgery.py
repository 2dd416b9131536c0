"""Small operations on an ONNX graph, on top of onnx-graphsurgeon, which keeps inputs and consumers linked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime

from edgevoice.errors import EdgevoiceError

IR_VERSION = 10
"""The newest that ONNX Runtime 1.23.2 reads is 11; devices with Python 3.10 have no later one."""

Shape = Sequence[int | str]
Output = tuple[gs.Variable, Shape]

_ELEMENTWISE = ("Add", "Sub", "Mul", "Neg", "Exp")


def ancestors(node: gs.Node) -> set[int]:
    """The ids of all nodes that ``node`` depends on."""
    return _reach([node], lambda n: [p for tensor in n.inputs for p in tensor.inputs])


def descendants(tensor: gs.Tensor) -> set[int]:
    """The ids of all nodes that depend on ``tensor``."""
    return _reach(list(tensor.outputs), lambda n: [c for out in n.outputs for c in out.outputs]) | {
        id(node) for node in tensor.outputs
    }


def _reach(start: list[gs.Node], following) -> set[int]:  # type: ignore[no-untyped-def]
    seen: set[int] = set()
    queue = [near for node in start for near in following(node)]
    while queue:
        node = queue.pop()
        if id(node) not in seen:
            seen.add(id(node))
            queue += following(node)
    return seen


def producer(tensor: gs.Tensor, op: str) -> gs.Node:
    made = tensor.inputs[0] if tensor.inputs else None
    if made is None or made.op != op:
        raise EdgevoiceError(f"the graph differs from a Piper voice: {tensor.name} does not come from a {op}")
    return made


def sole_consumer(tensor: gs.Tensor, ops: tuple[str, ...]) -> gs.Node | None:
    found = [node for node in tensor.outputs if node.op in ops]
    return found[0] if len(found) == 1 else None


def retype(tensor: gs.Variable, name: str, dtype: type, shape: Shape) -> gs.Variable:
    tensor.name, tensor.dtype, tensor.shape = name, dtype, list(shape)
    return tensor


def cut_input(tensor: gs.Variable, name: str, shape: Shape) -> gs.Variable:
    """Cut the graph above ``tensor``, which becomes an input."""
    tensor.inputs.clear()
    return retype(tensor, name, np.float32, shape)


def length_of(graph: gs.Graph, source: gs.Variable, lengths: gs.Variable) -> None:
    """Let ``lengths`` (int64 [1]) be the length of ``source`` [1,T] instead of an input."""
    shape = gs.Variable(f"{source.name}_shape", np.int64)
    index = gs.Constant(f"{source.name}_last", np.array([1], np.int64))
    graph.nodes.append(gs.Node("Shape", f"{source.name}_Shape", inputs=[source], outputs=[shape]))
    graph.nodes.append(gs.Node("Gather", f"{source.name}_length", inputs=[shape, index], outputs=[lengths]))
    lengths.shape = [1]


def concat(graph: gs.Graph, parts: list[gs.Variable], name: str, axis: int) -> gs.Variable:
    out = gs.Variable(name, np.float32)
    graph.nodes.append(gs.Node("Concat", name, {"axis": axis}, inputs=parts, outputs=[out]))
    return out


def split_input(graph: gs.Graph, parts: list[gs.Variable], name: str, shape: Shape) -> gs.Variable:
    """A new input whose channels are ``parts``, which are cut from what made them."""
    for part in parts:
        part.inputs.clear()
    whole = gs.Variable(name, np.float32, list(shape))
    width = int(shape[1]) // len(parts)
    sizes = gs.Constant(f"{name}_sizes", np.array([width] * len(parts), np.int64))
    graph.nodes.append(gs.Node("Split", f"{name}_Split", {"axis": 1}, inputs=[whole, sizes], outputs=parts))
    return whole


def flatten(graph: gs.Graph, tensor: gs.Variable, name: str) -> gs.Variable:
    """``tensor`` as [1, all of it]."""
    out = gs.Variable(name, np.float32)
    shape = gs.Constant(f"{name}_shape", np.array([1, -1], np.int64))
    graph.nodes.append(gs.Node("Reshape", f"{name}_Reshape", inputs=[tensor, shape], outputs=[out]))
    return out


def bypass_products(graph: gs.Graph, factor: gs.Tensor) -> None:
    """Leave out every product with ``factor``, a mask that is one everywhere once nothing is padded."""
    for node in list(factor.outputs):
        if node.op == "Mul":
            kept = next(tensor for tensor in node.inputs if tensor is not factor)
            replace(node.outputs[0], kept)
            node.outputs.clear()


def scalar_fills(graph: gs.Graph) -> None:
    """Let a tensor filled with one value be that value alone where it only meets element by element."""
    for node in graph.nodes:
        if node.op == "ConstantOfShape" and all(c.op in _ELEMENTWISE for c in node.outputs[0].outputs):
            value = node.attrs.get("value")
            fill = np.zeros(1, np.float32) if value is None else np.asarray(value.values)
            replace(node.outputs[0], gs.Constant(f"{node.name}_value", fill.reshape(())))


def bypass_neutral(graph: gs.Graph) -> None:
    """Leave out sums with zero and products with one.

    TensorRT for RTX cannot build a convolution followed by a sum with zeros.
    """
    for node in graph.nodes:
        neutral = {"Add": 0.0, "Sub": 0.0, "Mul": 1.0}.get(node.op)
        sides = list(node.inputs)[1:] if node.op == "Sub" else list(node.inputs)
        if neutral is not None and (found := [t for t in sides if _is_scalar(t, neutral)]):
            replace(node.outputs[0], next(t for t in node.inputs if t is not found[0]))
            node.outputs.clear()


def _is_scalar(tensor: gs.Tensor, value: float) -> bool:
    return (
        isinstance(tensor, gs.Constant)
        and np.size(tensor.values) == 1
        and bool(np.all(tensor.values == value))
    )


def replace(old: gs.Variable, new: gs.Tensor) -> None:
    """Let everything that read ``old`` read ``new``."""
    for consumer in list(old.outputs):
        for place, tensor in enumerate(consumer.inputs):
            if tensor is old:
                consumer.inputs[place] = new
    old.outputs.clear()


def finish(graph: gs.Graph, inputs: list[gs.Variable], outputs: list[Output]) -> onnx.ModelProto:
    """The part of ``graph`` between the inputs and outputs; a `speaker` input is kept where it is used."""
    graph.outputs = [retype(tensor, tensor.name, np.float32, shape) for tensor, shape in outputs]
    speakers = [tensor for tensor in graph.tensors().values() if tensor.name == "speaker"]
    graph.inputs = inputs
    graph.cleanup(remove_unused_graph_inputs=False).toposort()
    graph.inputs = inputs + [tensor for tensor in speakers if tensor.outputs]
    graph.name = graph.outputs[0].name
    return exported(graph)


def exported(graph: gs.Graph) -> onnx.ModelProto:
    """``graph`` as a checked model that the oldest ONNX Runtime reads, its settled shapes computed."""
    model: onnx.ModelProto = gs.export_onnx(_folded(graph))
    model.ir_version = min(model.ir_version, IR_VERSION)
    model.producer_name = "edgevoice"
    onnx.checker.check_model(model)
    return model


def _folded(graph: gs.Graph) -> gs.Graph:
    """Shapes that the stage's fixed batch and channels settle are computed once, here."""
    scalar_fills(graph)
    inferred = onnx.shape_inference.infer_shapes(gs.export_onnx(graph))
    onnxruntime.set_default_logger_severity(3)  # folding runs ONNX Runtime, which warns of harmless things
    folded = gs.import_onnx(inferred).fold_constants()
    bypass_neutral(folded)
    return folded.cleanup(remove_unused_graph_inputs=False).toposort()


def takes(model: onnx.ModelProto, names: tuple[str, ...]) -> tuple[str, ...]:
    have = {tensor.name for tensor in model.graph.input}
    return tuple(name for name in names if name in have)


def upsampling(model: onnx.ModelProto) -> int:
    """Samples per frame of a vocoder: the product of its transposed convolutions' strides."""
    strides = [
        attribute.ints[-1]
        for node in model.graph.node
        if node.op_type == "ConvTranspose"
        for attribute in node.attribute
        if attribute.name == "strides"
    ]
    return int(np.prod(strides))
