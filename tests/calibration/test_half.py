"""Half precision keeps the sound, the FP32 ends, and says when it overflows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_graphs as graphs
from onnx import TensorProto, helper

from calibration.graph import load
from calibration.half import fp16, scan
from calibration.ranges import session
from edgevoice.errors import EdgevoiceError


def test_vocoder_in_half_precision(tmp_path: Path):
    model = load(graphs.vocoder(tmp_path / "vocoder.onnx"))
    half = fp16(model)
    onnx.checker.check_model(half)
    assert {tensor.data_type for tensor in half.graph.initializer} <= {TensorProto.FLOAT16, TensorProto.INT64}
    assert half.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert half.ByteSize() < 0.7 * model.ByteSize()
    report = scan(model, half, [graphs.latents(seed=seed) for seed in range(3)])
    assert report.snr_db > 45
    assert report.worst < 0.01
    assert 1 < report.largest < 100


def test_blocked_operators_stay_in_single_precision(tmp_path: Path):
    model = load(graphs.vocoder(tmp_path / "vocoder.onnx"))
    half = fp16(model, block=("Tanh", "ConvTranspose"))
    onnx.checker.check_model(half, full_check=True)
    made = {name: node for node in half.graph.node for name in node.output}
    for node in half.graph.node:
        if node.op_type in ("Tanh", "ConvTranspose"):
            sources = [made[name] for name in node.input]
            assert all(s.op_type == "Cast" and s.attribute[0].i == TensorProto.FLOAT for s in sources)
    assert scan(model, half, [graphs.latents()]).snr_db > 45


def test_nodes_named_single_pass_on_what_half_precision_cannot_hold(tmp_path: Path):
    """1e-9 is zero in FP16, and 1e6 infinite."""
    nodes = [
        helper.make_node("Abs", ["x"], ["a"], "before"),
        helper.make_node("Mul", ["a", "small"], ["b"], "single_1"),
        helper.make_node("Add", ["b", "small"], ["c"], "single_2"),
        helper.make_node("Mul", ["c", "large"], ["d"], "single_3"),
        helper.make_node("Mul", ["d", "d"], ["y"], "after"),
    ]
    numbers = {"small": np.array(1e-9, np.float32), "large": np.array(1e9, np.float32)}
    path = graphs.save(tmp_path / "small.onnx", nodes, numbers, {"x": [1, "T"]}, {"y": [1, "T"]})
    model = load(path)
    half = fp16(model)
    casts = [node for node in half.graph.node if node.op_type == "Cast"]
    assert len(casts) == 4  # the graph's ends, and the ends of the part that stays
    windows = [{"x": np.linspace(0, 10, 7, dtype=np.float32)[None]}]
    assert scan(model, half, windows).snr_db > 50


def test_casts_fills_and_noise_follow(tmp_path: Path):
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"], "shape"),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"], "zeros"),
        helper.make_node("Cast", ["shape"], ["sizes"], "sizes", to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["sizes"], ["total"], "total", keepdims=0),
        helper.make_node("CumSum", ["x", "axis"], ["sums"], "sums"),
        helper.make_node("Add", ["sums", "zeros"], ["a"], "add"),
        helper.make_node("Mul", ["a", "total"], ["y"], "mul"),
    ]
    path = graphs.save(
        tmp_path / "mixed.onnx", nodes, {"axis": np.array(1)}, {"x": [1, "T"]}, {"y": [1, "T"]}
    )
    model = load(path)
    x = {"x": np.linspace(0, 0.01, 30, dtype=np.float32)[None]}
    assert np.allclose(session(model).run(None, x)[0], session(fp16(model)).run(None, x)[0], rtol=2e-3)


def test_overflow_is_named(tmp_path: Path):
    node = helper.make_node("Mul", ["x", "k"], ["y"], "mul")
    shapes = {"x": [1, "T"]}, {"y": [1, "T"]}
    model = load(graphs.save(tmp_path / "big.onnx", [node], {"k": np.array(1000.0, np.float32)}, *shapes))
    with pytest.raises(EdgevoiceError, match=r"FP16 overflows in y \(Mul"):
        scan(model, fp16(model), [{"x": np.full((1, 3), 100.0, np.float32)}])


def test_weights_beyond_half_precision_are_refused(tmp_path: Path):
    node = helper.make_node("Mul", ["x", "k"], ["y"], "mul")
    shapes = {"x": [1, "T"]}, {"y": [1, "T"]}
    model = load(graphs.save(tmp_path / "big.onnx", [node], {"k": np.array(1e6, np.float32)}, *shapes))
    with pytest.raises(EdgevoiceError, match="weight k exceeds"):
        fp16(model)
