"""Each operation on a small graph, and what the graph computes before and after it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("onnx")

import onnx
import onnx_graphsurgeon as gs
import onnxruntime

from compress import surgery
from edgevoice.errors import EdgevoiceError

Float = npt.NDArray[np.float32]


def variable(name: str, *shape: int | str) -> gs.Variable:
    return gs.Variable(name, np.float32, list(shape) or [1, "T"])


def constant(name: str, *values: float) -> gs.Constant:
    return gs.Constant(name, np.array(values, np.float32))


class Graph:
    """A graph written line by line: ``line(op, inputs) -> output``."""

    def __init__(self, *inputs: gs.Variable) -> None:
        self.inputs = list(inputs)
        self.nodes: list[gs.Node] = []

    def line(self, op: str, *inputs: gs.Tensor, **attributes: Any) -> gs.Variable:
        out = variable(f"{op}_{len(self.nodes)}")
        self.nodes.append(gs.Node(op, f"node_{len(self.nodes)}", attributes, list(inputs), [out]))
        return out

    def done(self, *outputs: gs.Variable) -> gs.Graph:
        return gs.Graph(self.nodes, self.inputs, list(outputs), opset=15)


def run(graph: gs.Graph | onnx.ModelProto, **feeds: Any) -> list[Float]:
    if isinstance(graph, gs.Graph):
        graph = gs.export_onnx(graph.cleanup(remove_unused_graph_inputs=False).toposort())
        graph.ir_version = 8
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(graph.SerializeToString(), options)
    outputs: list[Float] = session.run(None, feeds)
    return outputs


def operators(graph: gs.Graph) -> list[str]:
    return sorted(node.op for node in graph.cleanup(remove_unused_graph_inputs=False).nodes)


X = np.array([[1.0, -2.0, 3.0]], np.float32)


def test_ancestors_and_descendants_are_all_that_is_reached_and_no_more() -> None:
    x = variable("x")
    lines = Graph(x)
    first = lines.line("Neg", x)
    left, right = lines.line("Abs", first), lines.line("Exp", first)
    joined = lines.line("Add", left, right)
    aside = lines.line("Cos", x)
    lines.done(joined, aside)
    neg, absolute, exp, add, cos = lines.nodes
    assert surgery.ancestors(add) == {id(neg), id(absolute), id(exp)}
    assert surgery.ancestors(neg) == set()
    assert surgery.descendants(first) == {id(absolute), id(exp), id(add)}
    assert surgery.descendants(x) == {id(node) for node in (neg, absolute, exp, add, cos)}
    assert surgery.descendants(joined) == set()


def test_a_producer_of_another_kind_is_refused_by_the_tensor_s_name() -> None:
    x = variable("x")
    lines = Graph(x)
    made = lines.line("Neg", x)
    assert surgery.producer(made, "Neg") is lines.nodes[0]
    for tensor, op in ((made, "MatMul"), (x, "Neg")):
        with pytest.raises(EdgevoiceError, match=f"{tensor.name} does not come from a {op}"):
            surgery.producer(tensor, op)


def test_the_sole_consumer_is_none_where_there_are_two() -> None:
    x = variable("x")
    lines = Graph(x)
    lines.line("Neg", x), lines.line("Exp", x), lines.line("Exp", x)
    assert surgery.sole_consumer(x, ("Neg", "Abs")) is lines.nodes[0]
    assert surgery.sole_consumer(x, ("Exp",)) is None
    assert surgery.sole_consumer(x, ("Cos",)) is None


def test_a_cut_makes_an_input_of_what_was_computed() -> None:
    x = variable("x")
    lines = Graph(x)
    middle = lines.line("Neg", x)
    out = lines.line("Abs", middle)
    graph = lines.done(out)
    graph.inputs = [surgery.cut_input(middle, "fresh", [1, "T"])]
    assert operators(graph) == ["Abs"]
    np.testing.assert_array_equal(run(graph, fresh=X)[0], np.abs(X))


def test_the_length_of_an_input_takes_the_place_of_another() -> None:
    ids, lengths = gs.Variable("ids", np.int64, [1, "T"]), gs.Variable("lengths", np.int64, ["B"])
    lines = Graph(ids, lengths)
    out = lines.line("Neg", lengths)
    out.dtype = np.int64
    graph = lines.done(out)
    surgery.length_of(graph, ids, lengths)
    graph.inputs = [ids]
    for length in (1, 7):
        (got,) = run(graph, ids=np.zeros((1, length), np.int64))
        assert got.tolist() == [-length]


def test_joining_splitting_and_flattening() -> None:
    x = variable("x", 1, 4, "F")
    lines = Graph(x)
    parts = [lines.line("Neg", x), lines.line("Exp", x)]
    outs = [lines.line("Abs", parts[0]), lines.line("Identity", parts[1])]
    graph = lines.done(*outs)
    graph.inputs = [surgery.split_input(graph, parts, "whole", [1, 4, "F"])]
    joined = surgery.concat(graph, outs, "joined", axis=1)
    graph.outputs = [surgery.flatten(graph, joined, "flat")]
    whole = np.arange(-6, 6, dtype=np.float32).reshape(1, 4, 3)
    (flat,) = run(graph, whole=whole)
    wanted = np.concatenate([np.abs(whole[:, :2]), whole[:, 2:]], axis=1)
    np.testing.assert_array_equal(flat, wanted.reshape(1, -1))


def test_products_with_a_mask_are_left_out_and_its_other_uses_stay() -> None:
    x, mask = variable("x"), variable("mask")
    lines = Graph(x, mask)
    first = lines.line("Mul", x, mask)
    second = lines.line("Mul", mask, lines.line("Neg", first))
    out = lines.line("Sub", second, mask)
    graph = lines.done(out)
    surgery.bypass_products(graph, mask)
    assert operators(graph) == ["Neg", "Sub"]
    ones = np.ones_like(X)
    np.testing.assert_array_equal(run(graph, x=X, mask=ones)[0], -X - ones)


def fill(lines: Graph, x: gs.Variable, value: float | None) -> gs.Variable:
    shape = lines.line("Shape", x)
    shape.dtype, shape.shape = np.int64, [2]
    attributes = {} if value is None else {"value": constant("v", value)}
    return lines.line("ConstantOfShape", shape, **attributes)


@pytest.mark.parametrize("value", [None, 2.5])
def test_a_filled_tensor_that_meets_element_by_element_is_its_value(value: float | None) -> None:
    x = variable("x")
    lines = Graph(x)
    graph = lines.done(lines.line("Add", x, fill(lines, x, value)))
    surgery.scalar_fills(graph)
    assert operators(graph) == ["Add"]
    np.testing.assert_array_equal(run(graph, x=X)[0], X + (value or 0))


def test_a_filled_tensor_whose_shape_matters_stays() -> None:
    x = variable("x")
    lines = Graph(x)
    graph = lines.done(lines.line("Concat", x, fill(lines, x, 1.0), axis=1))
    surgery.scalar_fills(graph)
    assert operators(graph) == ["Concat", "ConstantOfShape", "Shape"]


@pytest.mark.parametrize(
    ("op", "sides", "left"),
    [
        ("Add", ("x", 0.0), []),
        ("Add", (0.0, "x"), []),
        ("Sub", ("x", 0.0), []),
        ("Mul", ("x", 1.0), []),
        ("Mul", (1.0, "x"), []),
        ("Sub", (0.0, "x"), ["Sub"]),
        ("Add", ("x", 1.0), ["Add"]),
        ("Mul", ("x", 0.0), ["Mul"]),
        ("Div", ("x", 1.0), ["Div"]),
    ],
)
def test_only_what_changes_nothing_is_left_out(op: str, sides: tuple[Any, Any], left: list[str]) -> None:
    x = variable("x")
    lines = Graph(x)
    inputs = [x if side == "x" else constant(f"c{place}", side) for place, side in enumerate(sides)]
    graph = lines.done(lines.line("Abs", lines.line(op, *inputs)))
    before = run(graph.copy(), x=X)[0]
    surgery.bypass_neutral(graph)
    assert operators(graph) == sorted(["Abs", *left])
    np.testing.assert_array_equal(run(graph, x=X)[0], before)


def test_a_finished_part_is_checked_named_and_old_enough_for_every_runtime() -> None:
    x, speaker, unused = variable("x", 1, "T"), variable("speaker", 1, 1), variable("sid", 1)
    lines = Graph(x, unused)
    middle = lines.line("Neg", lines.line("Add", x, speaker))
    out = lines.line("Abs", middle)
    beyond = lines.line("Exp", out)
    out.name = "sound"
    made = surgery.finish(lines.done(beyond), [x], [(out, [1, "T"])])
    assert [tensor.name for tensor in made.graph.input] == ["x", "speaker"]
    assert [tensor.name for tensor in made.graph.output] == ["sound"]
    assert {node.op_type for node in made.graph.node} == {"Add", "Neg", "Abs"}
    assert made.ir_version <= 10
    assert made.opset_import[0].version <= 19
    assert surgery.takes(made, ("speaker", "emotion")) == ("speaker",)
    (got,) = run(made, x=X, speaker=np.array([[2.0]], np.float32))
    np.testing.assert_array_equal(got, np.abs(X + 2))


def test_a_speaker_that_the_part_does_not_use_is_no_input() -> None:
    x, speaker = variable("x", 1, "T"), variable("speaker", 1, 1)
    lines = Graph(x)
    out = lines.line("Neg", x)
    beyond = lines.line("Add", out, speaker)
    made = surgery.finish(lines.done(beyond), [x], [(out, [1, "T"])])
    assert [tensor.name for tensor in made.graph.input] == ["x"]
    assert surgery.takes(made, ("speaker",)) == ()


def test_upsampling_is_the_product_of_the_strides() -> None:
    x = variable("x", 1, 1, "F")
    lines = Graph(x)
    weight = gs.Constant("w", np.ones((1, 1, 8), np.float32))
    last = x
    for stride in (4, 2, 8):
        last = lines.line("ConvTranspose", last, weight, strides=[stride], pads=[0, 8 - stride])
    made = gs.export_onnx(lines.done(last))
    assert surgery.upsampling(made) == 64
