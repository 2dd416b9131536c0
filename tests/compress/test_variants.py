"""Files that TensorRT would refuse are neither made for it nor chosen for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from calibration import preflight
from compress import variants
from compress.choose import Measured, settle
from compress.measuring import Heard, Measuring
from compress.workspace import Workspace
from edgevoice.manifest import STAGES, Precision, StageName, Variant
from targets import load


def with_zeros_added(path: Path, added: float) -> Path:
    """A vocoder that adds ``added``, in a tensor of its own making, to a convolution."""
    latents, waveform = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 2, "T"])
        for name in ("latents", "waveform")
    )
    fill = numpy_helper.from_array(np.full(1, added, np.float32), "fill")
    nodes = [
        helper.make_node("Conv", ["latents", "w"], ["a"], "conv"),
        helper.make_node("Shape", ["a"], ["s"], "shape"),
        helper.make_node("ConstantOfShape", ["s"], ["z"], "zeros", value=fill),
        helper.make_node("Add", ["a", "z"], ["waveform"], "addition"),
    ]
    weights = numpy_helper.from_array(np.ones((2, 2, 1), np.float32), "w")
    graph = helper.make_graph(nodes, "vocoder", [latents], [waveform], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("added", [0.0, 1.0])
def test_a_half_precision_file_that_tensorrt_would_refuse_is_not_written(
    tmp_path: Path, added: float
) -> None:
    path = with_zeros_added(tmp_path / "vocoder.fp32.onnx", added)
    draft = SimpleNamespace(identity="x", path=lambda stage: path)
    feeds = [{"latents": np.ones((1, 2, 6), np.float32)}]
    made = variants._half(draft, "vocoder", feeds, Workspace(tmp_path / "work"))  # type: ignore[arg-type]
    if added:
        assert (made.refused, made.path) == ("", tmp_path / "work" / "vocoder.fp16.onnx")
        assert preflight.check(onnx.load(str(made.path))) == []
    else:
        assert made.path is None
        assert made.refused.startswith("TensorRT would not take vocoder.fp16.onnx: addition: adds zeros")


@pytest.mark.parametrize(
    ("added", "target", "engine"),
    [(0.0, "orin_nano_8gb", "onnxruntime"), (1.0, "orin_nano_8gb", "any"), (0.0, "cpu", "any")],
)
def test_an_fp32_file_that_tensorrt_would_refuse_is_onnx_runtime_s(
    tmp_path: Path, added: float, target: str, engine: str
) -> None:
    path = with_zeros_added(tmp_path / "vocoder.fp32.onnx", added)
    run = SimpleNamespace(target=load(target))
    assert Measuring._reader(run, path) == engine  # type: ignore[arg-type]


class _Judge:
    """A voice passes unless ``worst`` is among its files."""

    target = load("orin_nano_8gb")

    def __init__(self, worst: str = "") -> None:
        self.worst = worst
        self.judged: list[Mapping[StageName, Path]] = []

    def voice(self, files: Mapping[StageName, Path], name: str) -> Heard:
        self.judged.append(files)
        return Heard({}, ("it crackles",) if Path(self.worst) in files.values() else ())

    def verdict(self, heard: Heard) -> SimpleNamespace:
        return SimpleNamespace(reasons=(), unmeasured=())

    def fewer(self, stage: StageName, row: Measured, plain: Measured) -> None:
        return None


def rows(stage: StageName) -> list[Measured]:
    """The encoder's FP32 file is one that TensorRT would refuse, so it has none in FP16."""

    def row(name: str, precision: Precision, engine: str, spent: float) -> Measured:
        return Measured(Path(name), Variant(name, precision, engine, milliseconds=spent))  # type: ignore[arg-type]

    alone = stage == "encoder"
    plain = row(f"{stage}.fp32.onnx", "fp32", "onnxruntime" if alone else "any", 9)
    half = row(f"{stage}.fp16.onnx", "fp16", "tensorrt", 1)
    refused = Measured(None, Variant("", "fp16", "tensorrt"), "TensorRT would not take it: NonZero")
    return [plain, row(f"{stage}.int8.cpu.onnx", "int8", "onnxruntime", 3), refused if alone else half]


@pytest.mark.parametrize("worst", ["", "encoder.int8.cpu.onnx", "acoustic.fp16.onnx"])
def test_what_tensorrt_reads_nothing_of_is_judged_as_onnx_runtime_speaks_it(worst: str) -> None:
    run = _Judge(worst)
    settled = settle(run, {stage: rows(stage) for stage in STAGES})  # type: ignore[arg-type]
    spoken = "encoder.fp32.onnx" if worst.startswith("encoder") else "encoder.int8.cpu.onnx"
    encoder = settled.choices["encoder"]
    assert [row.variant.file for row in encoder.travelling] == [spoken]
    assert encoder.reason.startswith("by TensorRT: nothing, it would not take FP32; FP16 could not be made")
    files = {stage: path.name for stage, path in settled.files.items()}
    expected = {"encoder": spoken, "acoustic": "acoustic.fp16.onnx", "vocoder": "vocoder.fp16.onnx"}
    gone = {"encoder.fp32.onnx", worst}
    assert files == {stage: name for stage, name in expected.items() if name not in gone}
    assert run.judged[-1] == settled.files
    assert not settled.failed
