"""What the estimate of working memory counts: exact bytes of graphs of a few nodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration.activations import activation_bytes
from calibration.half import fp16
from targets.advice import KERNELS_BYTES

STEPS = 1000
ROW = 4 * STEPS
"""Bytes of a channel in FP32."""


def model(nodes: Sequence[onnx.NodeProto], channels: int, weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """From ``x`` f32 [1,C,T] to ``y``."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, channels, "T"]) for name in ("x", "y")]
    held = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def kernel(outputs: int, inputs: int) -> np.ndarray:
    return np.ones((outputs, inputs, 1), np.float32)


def test_what_is_computed_between_two_products_is_kept_once() -> None:
    nodes = [
        helper.make_node("Conv", ["x", "wide"], ["a"], "wide"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "narrow"], ["y"], "narrow"),
    ]
    graph = model(nodes, 4, {"wide": kernel(16, 4), "narrow": kernel(4, 16)})
    assert activation_bytes(graph, STEPS) == (16 + 4) * ROW + KERNELS_BYTES


@pytest.mark.parametrize("blocks", [2, 6])
def test_what_goes_past_blocks_lies_there_once_however_many_they_are(blocks: int) -> None:
    nodes, past, weights = [], "x0", {"first": kernel(4, 4)}
    nodes.append(helper.make_node("Conv", ["x", "first"], ["x0"], "first"))
    for number in range(blocks):
        wide, narrow, out = (
            f"wide{number}",
            f"narrow{number}",
            "y" if number + 1 == blocks else f"x{number + 1}",
        )
        weights |= {wide: kernel(16, 4), narrow: kernel(4, 16)}
        nodes += [
            helper.make_node("Softmax", [past], [f"n{number}"], f"norm{number}", axis=1),
            helper.make_node("Conv", [f"n{number}", wide], [f"w{number}"], wide),
            helper.make_node("Relu", [f"w{number}"], [f"r{number}"], f"relu{number}"),
            helper.make_node("Conv", [f"r{number}", narrow], [f"a{number}"], narrow),
            helper.make_node("Add", [past, f"a{number}"], [out], f"add{number}"),
        ]
        past = out
    # What goes past, what the block makes wide, and its input or its result.
    assert activation_bytes(model(nodes, 4, weights), STEPS) == (4 + 16 + 4) * ROW + KERNELS_BYTES


def attention(turned: bool) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["k"], "conv"),
        helper.make_node("Transpose", ["k"], ["q"], "turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["q", "k"], ["scores"], "scores"),
    ]
    weights = {"w": kernel(4, 4)}
    last = "scores"
    if turned:
        weights |= {
            "pads": np.array([0, 0, 0, 0, 0, 1]),
            "from": np.array([0]),
            "to": np.array([-1]),
            "axis": np.array([2]),
        }
        nodes += [
            helper.make_node("Pad", [last, "pads"], ["padded"], "pad"),
            helper.make_node("Slice", ["padded", "from", "to", "axis"], ["cut"], "cut"),
        ]
        last = "cut"
    nodes += [
        helper.make_node("Softmax", [last], ["shares"], "softmax", axis=-1),
        helper.make_node("MatMul", ["k", "shares"], ["y"], "mix"),
    ]
    return model(nodes, 4, weights)


def test_plain_attention_keeps_one_square_in_fp32_and_none_in_fp16() -> None:
    square, rest = 4 * STEPS * STEPS, 4 * 4 * ROW
    single = activation_bytes(attention(turned=False), STEPS) - KERNELS_BYTES
    assert square <= single <= square + rest
    assert activation_bytes(fp16(attention(turned=False)), STEPS) - KERNELS_BYTES <= rest


def test_attention_that_turns_its_squares_keeps_all_of_them() -> None:
    squares = 4 * STEPS * (4 * STEPS + 1)  # scores, padded by one, cut, shares
    found = activation_bytes(attention(turned=True), STEPS) - KERNELS_BYTES
    assert squares <= found <= squares + 4 * 4 * ROW
