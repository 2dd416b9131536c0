"""Each import rule finds its fault and nothing in a clean file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_graphs as graphs
from onnx import TensorProto, helper, numpy_helper

from calibration.graph import load
from calibration.half import fp16
from calibration.preflight import check, require
from calibration.quantize import quantize
from edgevoice.errors import EdgevoiceError

WINDOWS = [graphs.latents(seed=seed) for seed in range(8)]


def rules(model: onnx.ModelProto) -> set[str]:
    return {finding.rule for finding in check(model)}


@pytest.fixture
def vocoder(tmp_path: Path) -> Path:
    return graphs.vocoder(tmp_path / "vocoder.onnx")


def test_clean_files_pass(vocoder: Path):
    assert check(onnx.load(vocoder)) == []
    assert check(fp16(onnx.load(vocoder))) == []
    for form in ("tensorrt", "tensorrt-fp16"):
        out = vocoder.with_name(f"{form}.onnx")
        quantize(vocoder, out, WINDOWS, form=form)
        assert check(onnx.load(out)) == []


def test_the_form_for_onnx_runtime_is_refused_with_every_reason(vocoder: Path):
    out = vocoder.with_name("cpu.onnx")
    quantize(vocoder, out, WINDOWS, form="cpu")
    model = onnx.load(out)
    assert {"bias", "type", "zero-point"} <= rules(model)
    with pytest.raises(EdgevoiceError, match=r"TensorRT would not take it: .*; and \d+ more"):
        require(model, "it")


def test_a_cast_between_dequantize_and_conv_is_found(vocoder: Path):
    out = vocoder.with_name("trt.onnx")
    quantize(vocoder, out, WINDOWS, form="tensorrt")
    model = load(out)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    cast = helper.make_node("Cast", [conv.input[0]], ["cast"], "the_cast", to=TensorProto.FLOAT)
    conv.input[0] = "cast"
    model.graph.node.insert(list(model.graph.node).index(conv), cast)
    found = check(model)
    assert [(finding.rule, finding.node) for finding in found] == [("cast", "the_cast")]
    assert "scales" in found[0].mend


def test_a_quantised_transposed_convolution_is_found(vocoder: Path):
    out = vocoder.with_name("trt.onnx")
    quantize(vocoder, out, WINDOWS, form="tensorrt")
    model = load(out)
    transposed = next(node for node in model.graph.node if node.op_type == "ConvTranspose")
    pair = next(node for node in model.graph.node if node.op_type == "DequantizeLinear")
    transposed.input[0] = pair.output[0]
    assert rules(model) == {"transposed"}


def tiny(tmp_path: Path, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> onnx.ModelProto:
    shapes = {"x": [1, 2, "T"]}, {"y": [None] * 3}
    return load(graphs.save(tmp_path / "tiny.onnx", nodes, constants, *shapes))


CONV = {"w": np.ones((2, 2, 1), np.float32)}


@pytest.mark.parametrize("kind", ["constant", "shape", "like"])
def test_adding_zeros_to_a_convolution_is_found(tmp_path: Path, kind: str):
    conv = helper.make_node("Conv", ["x", "w"], ["a"], "conv")
    add = helper.make_node("Add", ["a", "z"], ["y"], "the_add")
    shape = helper.make_node("Shape", ["x"], ["s"], "shape")
    fill = helper.make_node("ConstantOfShape", ["s"], ["f"], "fill")
    pick = helper.make_node("Slice", ["f", "from", "to"], ["z"], "pick")
    times = helper.make_node("Mul", ["x", "k"], ["z"], "mul")
    constants = {**CONV, "from": np.array([0, 0, 0]), "to": np.array([1, 2, 9])}
    nodes = {
        "constant": ([conv, add], {**CONV, "z": np.zeros((1, 2, 1), np.float32)}),
        "shape": ([conv, shape, fill, pick, add], constants),
        "like": ([conv, times, add], {**CONV, "k": np.zeros(1, np.float32)}),
    }  # fmt: skip
    found = check(tiny(tmp_path, *nodes[kind]))
    assert [(finding.rule, finding.node) for finding in found] == [("zero-add", "the_add")]
    assert "conv" in found[0].what


def test_adding_something_is_fine(tmp_path: Path):
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("Add", ["a", "x"], ["y"], "add"),
    ]
    assert check(tiny(tmp_path, nodes, CONV)) == []


def test_sizes_that_depend_on_data_are_found(tmp_path: Path):
    nodes = [
        helper.make_node("NonZero", ["x"], ["i"], "/dp/NonZero"),
        helper.make_node("Transpose", ["i"], ["t"], "turn"),
        helper.make_node("GatherND", ["x", "t"], ["g"], "gather"),
        helper.make_node("Reshape", ["g", "shape"], ["y"], "reshape"),
    ]
    found = check(tiny(tmp_path, nodes, {"shape": np.array([1, 2, -1])}))
    assert [finding.node for finding in found] == ["/dp/NonZero"]
    assert "Where" in found[0].mend


def test_float_limits_of_a_range_are_found(tmp_path: Path):
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["n"], "sum", keepdims=0),
        helper.make_node("Range", ["zero", "n", "one"], ["r"], "the_range"),
        helper.make_node("Add", ["r", "x"], ["y"], "add"),
    ]
    constants = {"zero": np.array(0, np.float32), "one": np.array(1, np.float32)}
    found = check(tiny(tmp_path, nodes, constants))
    assert [(finding.rule, finding.node) for finding in found] == [("range", "the_range")]


def test_foreign_and_dynamic_operators_are_found(tmp_path: Path):
    path = graphs.products(tmp_path / "products.onnx")
    quantize(path, tmp_path / "dynamic.onnx", form="cpu-dynamic")
    assert "operator" in rules(onnx.load(tmp_path / "dynamic.onnx"))
    model = onnx.load(path)
    model.graph.node[0].domain = "com.microsoft"
    assert "com.microsoft.MatMul" in check(model)[0].what


def test_double_precision_and_early_half_scales_are_found(vocoder: Path, tmp_path: Path):
    nodes = [
        helper.make_node("Cast", ["x"], ["d"], "widen", to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["d", "k"], ["e"], "mul"),
        helper.make_node("Cast", ["e"], ["y"], "narrow", to=TensorProto.FLOAT),
    ]
    assert rules(tiny(tmp_path, nodes, {"k": np.array(2.0)})) == {"double"}
    out = vocoder.with_name("trt16.onnx")
    quantize(vocoder, out, WINDOWS, form="tensorrt-fp16")
    model = onnx.load(out)
    model.opset_import[0].version = 17
    assert rules(model) == {"opset"}


def test_a_refused_file_is_not_written(vocoder: Path):
    """A zero addition in the source graph stops the TensorRT form."""
    model = load(vocoder)
    post = next(node for node in model.graph.node if node.name == "/dec/post/Conv")
    post.output[0] = "before"
    place = list(model.graph.node).index(post) + 1
    model.graph.node.insert(place, helper.make_node("Add", ["before", "none"], ["g"], "nothing"))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "none"))
    bad, out = vocoder.with_name("bad.onnx"), vocoder.with_name("out.onnx")
    onnx.save(model, bad)
    with pytest.raises(EdgevoiceError, match=r"nothing: adds zeros to /dec/post/Conv"):
        quantize(bad, out, WINDOWS, form="tensorrt")
    assert sorted(path.name for path in vocoder.parent.iterdir()) == ["bad.onnx", "vocoder.onnx"]


@pytest.mark.parametrize("rule", ["operator", "zero-add", "double"])
def test_the_bodies_of_a_condition_are_read_too(rule: str):
    """Each body has names of its own, and knows those of the graph around it."""
    inputs = {"x": TensorProto.FLOAT, "c": TensorProto.BOOL, "d": TensorProto.DOUBLE}
    entries = [helper.make_tensor_value_info(name, kind, [1, 2, 4]) for name, kind in inputs.items()]
    bad = {
        "operator": [helper.make_node("NonZero", ["x"], ["n"], "bad")],
        "zero-add": [helper.make_node("Add", ["a", "z"], ["n"], "bad")],
        "double": [helper.make_node("Neg", ["d"], ["n"], "bad")],
    }[rule]
    fine = [helper.make_node("Neg", ["a"], ["n"], "fine")]
    bodies = [
        helper.make_graph(nodes, name, [], [helper.make_tensor_value_info("n", TensorProto.UNDEFINED, None)])
        for name, nodes in (("then", bad), ("else", fine))
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "conv"),
        helper.make_node("If", ["c"], ["o"], "if", then_branch=bodies[0], else_branch=bodies[1]),
    ]
    constants = {"w": np.ones((2, 2, 1), np.float32), "z": np.zeros(1, np.float32)}
    tensors = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    output = helper.make_tensor_value_info("o", TensorProto.UNDEFINED, None)
    model = helper.make_model(helper.make_graph(nodes, "g", entries, [output], tensors))
    assert [(finding.rule, finding.node) for finding in check(model)] == [(rule, "bad")]
