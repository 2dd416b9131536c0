"""Tiny networks with the parts that matter: a vocoder, a block of matrix products, and graphs with known
faults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HOP = 4
CHANNELS = 8


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, Any],
    inputs: dict[str, Sequence[Any]],
    outputs: dict[str, Sequence[Any]],
    opset: int = 17,
    input_type: int = TensorProto.FLOAT,
) -> Path:
    """Write a checked model of one float (or ``input_type``) input a name."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(name, input_type, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def vocoder(path: Path, seed: int = 0, opset: int = 15) -> Path:
    """Latents [1,8,F] to waveform [1,4F]: convolution, upsampling, one residual block, convolution, tanh."""
    rng = np.random.default_rng(seed)

    def weight(*shape: int) -> np.ndarray:
        return (rng.normal(0, 1, shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    def conv(name: str, source: str, out: str, bias: bool = True) -> onnx.NodeProto:
        inputs = [source, f"{name}_w"] + ([f"{name}_b"] if bias else [])
        return helper.make_node("Conv", inputs, [out], f"/dec/{name}/Conv", pads=[1, 1])

    nodes = [
        conv("pre", "latents", "a"),
        helper.make_node("LeakyRelu", ["a"], ["b"], "/dec/relu", alpha=0.1),
        helper.make_node("ConvTranspose", ["b", "up_w"], ["c"], "/dec/up/ConvTranspose", strides=[HOP]),
        helper.make_node("LeakyRelu", ["c"], ["d"], "/dec/relu_1", alpha=0.1),
        conv("res", "d", "e"),
        helper.make_node("Add", ["c", "e"], ["f"], "/dec/add"),
        conv("post", "f", "g", bias=False),
        helper.make_node("Tanh", ["g"], ["h"], "/dec/tanh"),
        helper.make_node("Constant", [], ["axis"], value=numpy_helper.from_array(np.array([1]))),
        helper.make_node("Squeeze", ["h", "axis"], ["waveform"], "/dec/squeeze"),
    ]
    constants = {
        "pre_w": weight(CHANNELS, CHANNELS, 3), "pre_b": weight(CHANNELS),
        "up_w": weight(CHANNELS, CHANNELS, HOP),
        "res_w": weight(CHANNELS, CHANNELS, 3), "res_b": weight(CHANNELS),
        "post_w": 0.5 * weight(1, CHANNELS, 3),
    }  # fmt: skip
    return save(path, nodes, constants, {"latents": [1, CHANNELS, "F"]}, {"waveform": [1, "S"]}, opset)


def products(path: Path, width: int = 16, seed: int = 0) -> Path:
    """Rows [1,T,16] through two matrix products with biases and an activation between."""
    rng = np.random.default_rng(seed)
    constants = {
        "w1": rng.normal(0, 0.3, (width, 2 * width)).astype(np.float32),
        "b1": rng.normal(0, 0.3, 2 * width).astype(np.float32),
        "w2": rng.normal(0, 0.3, (2 * width, width)).astype(np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["rows", "w1"], ["a"], "/ff/up/MatMul"),
        helper.make_node("Add", ["a", "b1"], ["b"], "/ff/up/Add"),
        helper.make_node("Relu", ["b"], ["c"], "/ff/relu"),
        helper.make_node("MatMul", ["c", "w2"], ["out"], "/ff/down/MatMul"),
    ]
    return save(path, nodes, constants, {"rows": [1, "T", width]}, {"out": [1, "T", width]})


def latents(frames: int = 64, seed: int = 1) -> dict[str, np.ndarray]:
    """One sentence's latents."""
    values = np.random.default_rng(seed).normal(0, 1, (1, CHANNELS, frames))
    return {"latents": values.astype(np.float32)}


def dead_branch(path: Path) -> Path:
    """A convolution, and another over zeros that is added to it; x [1,2,F] to y [1,1,F]."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "/live/Conv"),
        helper.make_node("Mul", ["x", "zero"], ["z"], "/dead/Mul"),
        helper.make_node("Conv", ["z", "v"], ["b"], "/dead/Conv"),
        helper.make_node("Add", ["a", "b"], ["y"], "/Add"),
    ]
    constants = {
        "w": rng.normal(0, 0.1, (1, 2, 1)).astype(np.float32),
        "v": rng.normal(0, 0.1, (1, 2, 1)).astype(np.float32),
        "zero": np.zeros(1, np.float32),
    }
    return save(path, nodes, constants, {"x": [1, 2, "F"]}, {"y": [1, 1, "F"]})


def gemm(path: Path, alpha: float = 1.0, bias_rank: int = 1) -> Path:
    """Rows [T,4] by a turned weight plus a bias to [T,3]."""
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(0, 1, (3, 4)).astype(np.float32),
        "b": rng.normal(0, 1, (3,) if bias_rank == 1 else (1, 3)).astype(np.float32),
    }
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], "/out/Gemm", transB=1, alpha=alpha)
    return save(path, [node], constants, {"x": ["T", 4]}, {"y": ["T", 3]})
