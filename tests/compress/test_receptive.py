"""The computed context against what a graph sees: chunks with it equal the whole, with less they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from compress.receptive import context
from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName

Float = npt.NDArray[np.float32]
Layer = tuple[int, int, int]
"""Kernel, dilation, stride; a stride above 1 is a transposed convolution that multiplies the rate."""


def chain(layers: list[Layer], ahead: int = 0) -> onnx.ModelProto:
    """One channel, positive weights, so that nothing cancels out; ``ahead`` shifts the padding."""
    nodes, weights, last, rng = [], [], "x", np.random.default_rng(1)
    for number, (kernel, dilation, stride) in enumerate(layers):
        name, out = f"w{number}", f"y{number}"
        values = rng.uniform(0.5, 1, (1, 1, kernel)).astype(np.float32) / kernel
        weights.append(numpy_helper.from_array(values, name))
        if stride > 1:
            pads = [(kernel - stride) // 2] * 2
            node = helper.make_node("ConvTranspose", [last, name], [out], strides=[stride], pads=pads)
        else:
            span = (kernel - 1) * dilation
            before = max(0, span // 2 - ahead)
            node = helper.make_node(
                "Conv", [last, name], [out], dilations=[dilation], pads=[before, span - before]
            )
        nodes.append(node)
        last = out
    return model(nodes, last, weights)


def model(nodes: list[onnx.NodeProto], last: str, weights: list[TensorProto]) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, None]) for name in ("x", last)]
    graph = helper.make_graph(nodes, "chain", ends[:1], ends[1:], weights)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 15)])


def least_context(run: Callable[[Float], Float], channels: int, frames: int, most: int) -> int:
    """The fewest frames a side with which every chunk equals the whole, found by trying."""
    x = np.random.default_rng(0).uniform(1, 2, (1, channels, frames)).astype(np.float32)
    whole = run(x).ravel()
    rate = whole.size // frames
    start, stop = frames // 2, frames // 2 + 2
    wanted = whole[start * rate : stop * rate]
    for around in range(most + 1):
        left = max(0, start - around)
        piece = run(x[:, :, left : stop + around]).ravel()
        got = piece[(start - left) * rate : (stop - left) * rate]
        if np.abs(got - wanted).max() <= 1e-6 * np.abs(wanted).max():
            return around
    raise AssertionError(f"{most} frames are not enough")


def runner(made: onnx.ModelProto, name: str = "x", **others: Float) -> Callable[[Float], Float]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(made.SerializeToString(), options)
    return lambda x: np.asarray(session.run(None, {name: x, **others})[0], np.float32)


CONVOLUTIONS = st.tuples(st.sampled_from([1, 3, 5, 7]), st.integers(1, 3), st.just(1))
UPSAMPLINGS = st.sampled_from([(4, 1, 2), (2, 1, 2), (8, 1, 4), (6, 1, 2), (16, 1, 8), (4, 1, 4)])


@settings(max_examples=40)
@given(st.lists(st.one_of(CONVOLUTIONS, UPSAMPLINGS), min_size=1, max_size=5), st.integers(0, 1))
def test_the_context_is_enough_and_not_a_frame_too_many(layers: list[Layer], ahead: int) -> None:
    made = chain(layers, ahead)
    found = context(made, "x")
    least = least_context(runner(made), 1, 120, 55)
    # Upsampling to a rate that no later step uses up leaves parts of a frame, which are rounded up.
    rounded = sum(stride > 1 for _, _, stride in layers) > 0
    assert least <= found <= least + rounded


def test_a_known_chain() -> None:
    """conv 7 | x4 by 8 taps | conv 3, dilation 2: 3 + (1 and a part of) 2 to the left."""
    assert context(chain([(7, 1, 1)]), "x") == 3
    assert context(chain([(7, 1, 1), (3, 4, 1)]), "x") == 7
    assert context(chain([(1, 1, 1)]), "x") == 0
    assert context(chain([(8, 1, 4)]), "x") == 1
    assert context(chain([(7, 1, 1), (8, 1, 4), (3, 2, 1)]), "x") == 4


@pytest.mark.parametrize("name", ["tiny", "tiny_multispeaker"])
@pytest.mark.parametrize(("stage", "source"), [("vocoder", "latents"), ("acoustic", "frames")])
def test_a_voice_s_own_context_is_exact(
    name: str, stage: StageName, source: str, request: pytest.FixtureRequest
) -> None:
    """One frame that is no number makes everything that sees it no number, however weak the tap."""
    found = bundle.read(request.getfixturevalue(f"{name}_bundle"))
    row = found.manifest.stages[stage]
    made = without_bends(onnx.load(found.file(row.chosen)))
    widths = {tensor.name: tensor.type.tensor_type.shape.dim[1].dim_value for tensor in made.graph.input}
    shapes = {"noise": (1, widths.get("noise", 0), 120), "speaker": (1, widths.get("speaker", 0))}
    others = {key: np.zeros(shape, np.float32) for key, shape in shapes.items() if key in widths}
    x = np.zeros((1, widths[source], 120), np.float32)
    x[:, :, 60] = np.nan
    seen = np.isnan(runner(made, source, **others)(x).reshape(-1, 120, 256 if stage == "vocoder" else 1))
    frames = np.flatnonzero(seen.any(axis=(0, 2)))
    assert max(60 - frames[0], frames[-1] - 60) == row.context == context(made, source)


def without_bends(made: onnx.ModelProto) -> onnx.ModelProto:
    """ONNX Runtime's tanh and sigmoid turn what is no number into one."""
    for node in made.graph.node:
        if node.op_type in ("Tanh", "Sigmoid"):
            node.op_type = "Identity"
    return made


@pytest.mark.parametrize("op", ["Softmax", "ReduceSum", "CumSum", "LSTM", "Pad", "Resize"])
def test_what_mixes_time_in_another_way_is_refused_by_name(op: str) -> None:
    made = model([helper.make_node(op, ["x"], ["y"], name="the_node")], "y", [])
    with pytest.raises(EdgevoiceError, match=rf"the_node \({op}\) mixes time"):
        context(made, "x")


def test_a_product_of_the_input_with_itself_is_refused() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "turned"], ["y"], name="the_node"),
    ]
    with pytest.raises(EdgevoiceError, match=r"the_node \(MatMul\) mixes time"):
        context(model(nodes, "y", []), "x")


TURN = helper.make_node("Transpose", ["x"], ["turned"], perm=[0, 2, 1])


def numbers(name: str, *values: int) -> TensorProto:
    return numpy_helper.from_array(np.array(values, np.int64), name)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "passes"),
    [
        ("ReduceMean", ["x"], {"axes": [2]}, False),
        ("ReduceMean", ["x"], {"axes": [-1]}, False),
        ("ReduceMean", ["x"], {}, False),
        ("ReduceMean", ["x"], {"axes": [1]}, True),
        ("ReduceMean", ["turned"], {"axes": [1]}, False),
        ("ReduceMean", ["turned"], {"axes": [-1]}, True),
        ("LayerNormalization", ["x", "weight"], {}, False),
        ("LayerNormalization", ["turned", "weight"], {}, True),
        ("Concat", ["x", "x"], {"axis": 2}, False),
        ("Concat", ["x", "x"], {"axis": 1}, True),
        ("Slice", ["x", "zero", "one", "two"], {}, False),
        ("Slice", ["x", "zero", "one", "one"], {}, True),
        ("Slice", ["x", "zero", "one"], {}, True),
        ("MatMul", ["x", "weight"], {}, False),
        ("MatMul", ["turned", "weight"], {}, True),
        ("MatMul", ["weight", "x"], {}, True),
        ("MatMul", ["weight", "turned"], {}, False),
        ("Add", ["x", "turned"], {}, False),
        ("Add", ["x", "x"], {}, True),
        ("Conv", ["turned", "weight"], {}, False),
    ],
)
def test_time_is_followed_to_the_axis_that_an_operator_works_along(
    op: str, inputs: list[str], attributes: dict[str, object], passes: bool
) -> None:
    weight = numpy_helper.from_array(np.ones((1, 1, 1), np.float32), "weight")
    node = helper.make_node(op, inputs, ["y"], name="the_node", **attributes)
    weights = [weight, numbers("zero", 0), numbers("one", 1), numbers("two", 2)]
    made = model([TURN, node], "y", weights)
    if passes:
        assert context(made, "x") == 0
    else:
        with pytest.raises(EdgevoiceError, match=rf"the_node \({op}\) mixes time"):
            context(made, "x")


def test_time_is_followed_through_a_new_axis() -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["x", "one"], ["y4"]),
        helper.make_node("Transpose", ["y4"], ["t4"], perm=[0, 3, 1, 2]),
        helper.make_node("Squeeze", ["t4", "two"], ["t3"]),
        helper.make_node("ReduceMean", ["t3"], ["y"], name="the_node", axes=[1]),
    ]
    with pytest.raises(EdgevoiceError, match=r"the_node \(ReduceMean\) mixes time"):
        context(model(nodes, "y", [numbers("one", 1), numbers("two", 2)]), "x")


def test_an_input_that_nothing_depends_on_is_refused() -> None:
    with pytest.raises(EdgevoiceError, match="depends on its input 'z'"):
        context(chain([(3, 1, 1)]), "z")


def test_the_tiny_voice_s_files_are_what_the_tests_think(tiny_bundle: Path) -> None:
    kinds = {node.op_type for node in onnx.load(tiny_bundle / "vocoder.fp32.onnx").graph.node}
    assert {"Conv", "ConvTranspose", "LeakyRelu", "Tanh"} <= kinds
