"""What a build's log says is read, and the TensorRT forms really build where TensorRT for RTX is installed.

That stands for "builds under TensorRT for RTX", not for "works on a Jetson".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from calibration import preflight
from calibration.activations import activation_bytes
from calibration.census import explicit_int8
from calibration.graph import load, save
from calibration.half import fp16
from calibration.quantize import quantize
from compress import rtx, teachers
from compress.rtx import build as builds
from compress.rtx.figures import Figures, read
from compress.teachers import piper
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.tensorrt.build import Order, Steps
from targets import child

needs_rtx = pytest.mark.skipif(not rtx.installed(), reason="TensorRT for RTX is not installed: make rtx")

# Written by us in the form of a build's detailed log, layers of a convolution and what surrounds it.
LOG = [
    "Total Activation Memory: 512 bytes",
    "Total Activation Memory: 2048 bytes",
    "Total Weights Memory: 4096 bytes",
    "Layers:\n"
    "Name: a_myl0_0, LayerType: kgen, Inputs: [ { Name: x, Dimensions: [1], Datatype: Int8, Format: (L) }], "
    "Constants: [], Outputs: [ { Name: y, Datatype: Int8 }], StreamId: 0, Metadata: [ONNX Layer: /q/Scale]\n"
    "Name: b_myl0_1, LayerType: correlation, Inputs: [ { Name: y, Datatype: Int8, Format: (L) }], "
    "Constants: [ { Name: w, Datatype: Int8 }], Outputs: [ { Name: z, Datatype: Float }], StreamId: 0, "
    "Metadata: [ONNX Layer: /first/Conv][ONNX Layer: /first/Conv_weight_DQ]\n"
    "Name: c_myl0_2, LayerType: correlation, Inputs: [ { Name: z, Datatype: Half, Format: (L) }], "
    "Constants: [ { Name: w, Datatype: Int8 }], Outputs: [ { Name: v, Datatype: Half }], StreamId: 0, "
    "Metadata: [ONNX Layer: /second/Conv]\n"
    "Name: d_myl0_3, LayerType: gemm, Inputs: [], Constants: [], Outputs: [], StreamId: 0, Metadata: \n",
]


def test_a_log_says_what_an_engine_takes_and_which_layers_are_int8() -> None:
    figures = read(LOG, 9999)
    assert figures == Figures(
        2048,
        4096,
        9999,
        {"correlation Int8": 1, "correlation Half": 1, "gemm unknown": 1},
        ("/first/Conv", "/first/Conv_weight_DQ"),
    )
    assert figures.missing(["/first/Conv", "/second/Conv"]) == ["/second/Conv"]


@pytest.mark.parametrize("lines", [[], ["Total Activation Memory: many bytes"], ["Name: a"], ["Layers:\n\n"]])
def test_a_log_of_another_form_says_nothing(lines: list[str]) -> None:
    assert read(lines, 1) == Figures(0, 0, 1, {}, ())


def order(path: Path, steps: Steps, *capabilities: str, detailed: bool = False) -> Order:
    return Order(path, (steps,), 256 << 20, capabilities=capabilities or ("8.6",), detailed=detailed)


def python(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next build runs this instead of TensorRT."""
    real = child.answer

    def answer(*_: str, seconds: float) -> dict[str, Any]:
        return real("-c", code, seconds=seconds)

    monkeypatch.setattr(builds.child, "answer", answer)
    monkeypatch.setattr(rtx, "require", lambda: None)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.abort()", "ended with status -6"),
        ("import sys; sys.exit('no library')", "ended with status 1: no library"),
        ("print('not JSON')", "ended with status 0"),
        ("import time; time.sleep(60)", "did not build stage.onnx: .* within 1 s"),
    ],
)
def test_a_process_that_fails_is_one_line(code: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    python(code, monkeypatch)
    seconds = 1.0 if "sleep" in code else 100.0
    with pytest.raises(EdgevoiceError, match=said) as caught:
        builds.build(order(Path("stage.onnx"), Steps.static(8)), seconds=seconds)
    assert "\n" not in str(caught.value)


def test_where_it_is_not_installed_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtx, "LIBRARY", "tensorrt_that_nobody_has")
    with pytest.raises(EdgevoiceError, match=r"not installed: pip install .*"):
        builds.build(order(Path("stage.onnx"), Steps.static(8)))


@pytest.fixture(scope="module")
def stages(tiny_multispeaker_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The stages' FP32 files."""
    folder = tmp_path_factory.mktemp("stages")
    for name, stage in teachers.read(tiny_multispeaker_voice).stages.items():
        onnx.save(stage.model, folder / f"{name}.onnx")
    return {path.stem: path for path in folder.iterdir()}


def near(path: Path, steps: int, figures: Figures) -> None:
    """The plan's own estimates, which were fitted to another voice's vocoder."""
    assert activation_bytes(onnx.load(path), steps) == pytest.approx(figures.activation_bytes, rel=0.25)
    weights = sum(int(np.prod(tensor.dims)) * 4 for tensor in onnx.load(path).graph.initializer
                  if tensor.data_type == onnx.TensorProto.FLOAT)  # fmt: skip
    assert weights == pytest.approx(figures.weights_bytes, rel=0.25)


@needs_rtx
def test_a_stage_builds_for_three_generations_of_cards(stages: dict[str, Path], tmp_path: Path) -> None:
    path, out = stages["acoustic"], tmp_path / "acoustic.plan"
    figures = builds.build(order(path, Steps(1, 8, 64), "8.6", "8.9", "12.0"), out)
    assert out.stat().st_size == figures.plan_bytes > 0
    assert [entry.name for entry in tmp_path.iterdir()] == [out.name]
    near(path, 64, figures)


@needs_rtx
def test_the_encoder_builds_with_its_flow_in_single_precision(
    stages: dict[str, Path], tmp_path: Path
) -> None:
    half = tmp_path / "encoder.fp16.onnx"
    save(fp16(load(stages["encoder"])), half)
    figures = builds.build(order(half, Steps(1, 20, 60)))
    assert activation_bytes(onnx.load(half), 60) == pytest.approx(figures.activation_bytes, rel=0.25)


@needs_rtx
def test_layers_that_were_asked_for_run_in_int8(stages: dict[str, Path], tmp_path: Path) -> None:
    path, out = stages["vocoder"], tmp_path / "vocoder.int8.onnx"
    quantize(path, out, windows(path), form="tensorrt-fp16")
    asked = explicit_int8(onnx.load(out))
    figures = builds.build(order(out, Steps.static(32), detailed=True))
    assert len(asked) > 5
    assert figures.missing(asked) == []
    assert not any(name.startswith("deconv") and name.endswith("Int8") for name in figures.layers)
    assert activation_bytes(onnx.load(out), 32) == pytest.approx(figures.activation_bytes, rel=0.25)


def windows(path: Path) -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    made = []
    for _ in range(8):
        window = {}
        for entry in onnx.load(path).graph.input:
            shape = [dim.dim_value or 40 for dim in entry.type.tensor_type.shape.dim]
            window[entry.name] = rng.standard_normal(shape).astype(np.float32)
        made.append(window)
    return made


@needs_rtx
def test_what_the_preflight_refuses_tensorrt_refuses_too(
    stages: dict[str, Path], tmp_path: Path, tiny_voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = tmp_path / "vocoder.int8.cpu.onnx"
    quantize(stages["vocoder"], cpu, windows(stages["vocoder"]), form="cpu")
    masked = tmp_path / "masked.onnx"
    monkeypatch.setattr(piper, "without_masks", lambda model: model)
    onnx.save(teachers.read(tiny_voice).stages["encoder"].model, masked)
    for path in (cpu, masked):
        assert preflight.check(onnx.load(path)), path
        with pytest.raises(EdgevoiceError, match=r"TensorRT (does not take|cannot make)"):
            builds.build(order(path, Steps(1, 8, 40)))
