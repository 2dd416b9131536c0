"""One bundle against another of the same voice: only what differs counts, and two voices are refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from msgspec.structs import replace

from benchmarks import apart
from calibration.quantize import quantize
from edgevoice import bundle
from edgevoice.manifest import Variant

TEXTS = ["hello there.", "one two. three four."]


@pytest.fixture
def rounded(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny bundle with a vocoder in INT8."""
    import numpy as np
    import onnx

    made = bundle.read(tiny_bundle)
    vocoder = made.manifest.stages["vocoder"]
    plain, small = made.file(vocoder.chosen), tmp_path / "vocoder.int8.cpu.onnx"
    channels = onnx.load(plain).graph.input[0].type.tensor_type.shape.dim[1].dim_value
    rng = np.random.default_rng(0)
    quantize(
        plain, small, [{"latents": rng.normal(size=(1, channels, 40)).astype(np.float32)} for _ in range(8)]
    )
    row = Variant(small.name, "int8", "onnxruntime", bytes=small.stat().st_size)
    stages = {**made.manifest.stages, "vocoder": replace(vocoder, variants=[row], chosen=small.name)}
    files = {name: made.file(name) for name in made.manifest.files if name != vocoder.chosen}
    manifest = replace(made.manifest, stages=stages)
    return bundle.write(tmp_path / "rounded", manifest, {**files, small.name: small}).path


def test_a_bundle_is_nothing_apart_from_its_copy(tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "copy")
    found = apart.apart([tiny_bundle, tmp_path / "copy"], TEXTS, ["spectral"], 1).figures
    assert found["log_mel_l1"].mean == 0
    assert found["duration_frames"].mean == 0


def test_what_a_smaller_file_changes_is_measured_at_the_first_one_s_durations(
    tiny_bundle: Path, rounded: Path
) -> None:
    found = apart.apart([tiny_bundle, rounded], TEXTS, ["spectral"], 1).figures
    assert 0 < found["log_mel_l1"].mean < 1
    assert found["duration_frames"].mean == 0


def test_two_voices_are_one_line(
    tiny_bundle: Path, tiny_multispeaker_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert apart.main([str(tiny_bundle), str(tiny_multispeaker_bundle), "--measures", "spectral"]) == 2
    assert "not of the same voice" in capsys.readouterr().err
    assert apart.main([str(tiny_bundle), str(tiny_bundle), "--measures", "spectral", "--count", "0"]) == 2
    assert "--count 0: from 1 to" in capsys.readouterr().err
