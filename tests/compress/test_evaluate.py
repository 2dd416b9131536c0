"""Students are heard in the teacher's chain, at its own durations and noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_students import RECIPE, trained_runs  # noqa: E402
from torch import nn  # noqa: E402
from voice_labels import voice_labels  # noqa: E402

from compress import teachers  # noqa: E402
from compress.distil import evaluate  # noqa: E402
from compress.distil.chain import make_chain  # noqa: E402
from compress.labels.store import Labels  # noqa: E402
from compress.labels.teacher import require_teacher  # noqa: E402
from compress.staged import StagedVoice  # noqa: E402
from compress.teachers.staged import StagedTeacher, session  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402

ORDER = ("encoder", "acoustic", "vocoder")


@pytest.fixture(scope="module")
def voice(tiny_voice: Path) -> StagedVoice:
    return teachers.read(tiny_voice)


@pytest.fixture(scope="module")
def held(voice: StagedVoice, tmp_path_factory: pytest.TempPathFactory) -> Labels:
    return voice_labels(voice, tmp_path_factory.mktemp("held"), count=2)


@pytest.fixture(scope="module")
def runs(held: Labels, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained_runs(tmp_path_factory.mktemp("runs"), held)


class Same(nn.Module):
    """A student that has learnt all: the teacher's own stage."""

    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.session = session(stage.model)

    def forward(self, **inputs: Any) -> Any:
        answers = self.session.run(None, {name: value.numpy() for name, value in inputs.items()})
        return tuple(torch.from_numpy(answer) for answer in answers)


@pytest.mark.parametrize(
    "stages", [{"vocoder"}, {"acoustic"}, {"encoder"}, {"acoustic", "vocoder"}, set(ORDER)]
)
def test_a_perfect_student_says_what_the_teacher_said(
    stages: set[str], held: Labels, voice: StagedVoice
) -> None:
    chain = make_chain({stage: Same(voice.stages[stage]) for stage in stages}, held, voice)  # type: ignore[index]
    for index in range(len(held)):
        row = held.read(index, ["audio", "durations"])
        labelled = row["audio"] / 32767
        assert np.abs(chain.say(index) - labelled).max() < 0.02 * np.abs(labelled).max()  # latents are FP16
        own = chain.durations(index)
        assert (own is None) == ("encoder" not in stages)
        if own is not None:
            np.testing.assert_allclose(own, row["durations"], rtol=1e-4)


@pytest.mark.parametrize(
    ("stages", "teacher"), [("vocoder", False), ("encoder", True), ("encoder,acoustic,vocoder", False)]
)
def test_any_stages_are_measured_and_the_curve_grows(
    stages: str,
    teacher: bool,
    held: Labels,
    runs: Path,
    tiny_voice: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    before = _lines(runs)
    voice = tiny_voice if teacher else None
    evaluate.run(recipe, held.root, runs, held.root, stages, voice, 50, "spectral", 1)
    line = capsys.readouterr().out.strip()
    found = json.loads(line)
    assert _lines(runs) == [*before, line]
    assert set(found["stages"]) == set(stages.split(","))
    assert found["step"] == 3 * len(found["stages"])
    assert found["figures"]["log_mel_l1"]["mean"] > 0.1  # three steps from random weights
    assert found["figures"]["log_mel_l1"]["count"] == found["sentences"] == 2
    assert ("duration_frames" in found["figures"]) == ("encoder" in stages)


def _lines(runs: Path) -> list[str]:
    file = runs / evaluate.NAME
    return file.read_text().splitlines() if file.exists() else []


def test_a_teacher_that_is_needed_is_asked_for(held: Labels, voice: StagedVoice) -> None:
    chain = make_chain({"acoustic": Same(voice.stages["acoustic"])}, held)
    with pytest.raises(
        EdgevoiceError, match="the teacher's vocoder comes after a student: name it with --teacher"
    ):
        chain.say(0)


def test_labels_of_another_teacher_are_refused(
    held: Labels, voice: StagedVoice, tiny_multispeaker_voice: Path
) -> None:
    require_teacher(held, StagedTeacher(voice))
    with pytest.raises(EdgevoiceError, match="labels of another teacher than tiny_multispeaker"):
        require_teacher(held, StagedTeacher(teachers.read(tiny_multispeaker_voice)))
