"""A student speaks at its teacher's pace, whatever its training left, and its file of weights says how."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_students import RECIPE, config  # noqa: E402
from voice_labels import voice_labels  # noqa: E402

from compress import teachers  # noqa: E402
from compress.distil import weights  # noqa: E402
from compress.distil.chain import make_chain  # noqa: E402
from compress.distil.pace import factor_for, keep_pace  # noqa: E402
from compress.distil.tasks import make_task  # noqa: E402
from compress.distil.train import train  # noqa: E402
from compress.labels.store import Labels  # noqa: E402
from compress.students.acoustic import Acoustic, AcousticConfig  # noqa: E402
from compress.students.encoder import Encoder, EncoderConfig  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402
from edgevoice.manifest import Durations  # noqa: E402
from edgevoice.runtime.synthesis import expand  # noqa: E402

CEIL = Durations("ceil")


@pytest.fixture(scope="module")
def labels(tiny_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Labels:
    return voice_labels(teachers.read(tiny_voice), tmp_path_factory.mktemp("labels"), count=4)


def encoder(labels: Labels) -> Encoder:
    torch.manual_seed(0)
    hidden = labels.read(0, ["hidden"])["hidden"].shape[0]
    noise = int(labels.info.noise["encoder"][0])
    return Encoder(EncoderConfig(256, hidden, 8, kernels=(3,), attention_after=(), noise=noise))


def ratio(student: Encoder, labels: Labels) -> float:
    """The student's whole frames by the teacher's."""
    chain = make_chain({"encoder": student}, labels)
    own = [chain.durations(number) for number in range(len(labels))]
    frames = sum(int(expand(row, 1.0, CEIL).sum()) for row in own if row is not None)
    return frames / sum(entry.frames for entry in labels.entries)


@pytest.mark.parametrize("bias", [0.3, 1.5])
def test_sentences_become_as_long_as_the_teachers(bias: float, labels: Labels) -> None:
    student = encoder(labels)
    with torch.no_grad():
        student.timing_out.bias += bias
    before = ratio(student, labels)
    factor = keep_pace("encoder", student, labels)
    assert (factor > 1) == (before < 1)
    assert abs(ratio(student, labels) - 1) < 0.03 < abs(before - 1)
    assert keep_pace("encoder", student, labels) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("rule", [CEIL, Durations("nearest")])
def test_the_factor_is_found_through_rounding(rule: Durations) -> None:
    own = np.random.default_rng(0).gamma(2.0, 2.0, 500).astype(np.float32)
    wanted = int(expand(own * np.float32(1.3), 1.0, rule).sum())
    factor = factor_for([own[:200], own[200:]], wanted, rule)
    assert abs(int(expand(own, 1 / factor, rule).sum()) - wanted) <= 1
    assert factor == pytest.approx(1.3, rel=0.01)


def test_what_has_no_durations_is_left_alone(labels: Labels) -> None:
    student = Acoustic(AcousticConfig(latents=4, width=8, kernels=(3,)))
    before = {name: value.clone() for name, value in student.state_dict().items()}
    assert keep_pace("acoustic", student, labels) == 1.0
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


def test_durations_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(EdgevoiceError, match="no numbers"):
        factor_for([np.array([1.0, math.nan], np.float32)], 3, CEIL)


@pytest.fixture(scope="module")
def saved(labels: Labels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved")
    (folder / "recipe.toml").write_text(RECIPE)
    train(make_task(config(), "encoder", labels), folder / "encoder")
    file = folder / "encoder.safetensors"
    weights.save_run(folder / "encoder", file, str(folder / "recipe.toml"), None, labels.root)
    return file


def test_a_file_of_weights_keeps_the_pace(saved: Path, labels: Labels, tmp_path: Path) -> None:
    found, header = weights.read(saved, "encoder"), weights.header(saved)
    assert isinstance(found.student, Encoder)
    assert found.card.pace != 1.0
    assert abs(ratio(found.student, labels) - 1) < 0.05
    with torch.no_grad():
        found.student.timing_out.bias -= 0.5
    file = tmp_path / "encoder.safetensors"
    weights.save(file, found, header["table"], header["curve"])
    weights.pace(file, labels.root)
    again = weights.read(file, "encoder")
    assert isinstance(again.student, Encoder)
    assert abs(ratio(again.student, labels) - 1) < 0.05
    assert again.card.pace == pytest.approx(found.card.pace * math.exp(0.5), rel=0.05)


def test_the_pace_on_other_labels_is_refused(saved: Path, labels: Labels, tmp_path: Path) -> None:
    found, header = weights.read(saved, "encoder"), weights.header(saved)
    file = tmp_path / "encoder.safetensors"
    others = replace(found, card=replace(found.card, labels="0" * 64))
    weights.save(file, others, header["table"], header["curve"])
    before = file.read_bytes()
    with pytest.raises(EdgevoiceError, match="holds other labels"):
        weights.pace(file, labels.root)
    assert file.read_bytes() == before
