"""What a new encoder's own durations lose, which are not heard where sounds of one length are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from calibration.gate import Thresholds
from calibration.gate import judge as hold
from compress import judge, teachers
from compress.draft import Draft, Spoken, prepare, speak
from compress.recipe import load
from compress.workspace import Workspace
from edgevoice.runtime.engines import Array, Engine

pytest.importorskip("onnx")

GATE = Thresholds(log_mel_l1=0.3)


class Retimed:
    """An encoder whose durations go through ``change``."""

    def __init__(self, engine: Engine, change: Callable[[Array], Array]) -> None:
        self.inputs, self._engine, self._change = engine.inputs, engine, change

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        hidden, durations = self._engine.run(feeds)
        return [hidden, self._change(durations)]


@pytest.fixture(scope="module")
def draft(tiny_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return prepare(teachers.read(tiny_voice), load("split"), Workspace(tmp_path_factory.mktemp("work")))


@pytest.fixture(scope="module")
def spoken(draft: Draft) -> Spoken:
    return speak(draft, ["One sentence.", "And another one."], 1)


@pytest.mark.parametrize(("factor", "passes"), [(1.0, True), (1.02, True), (3.0, False), (0.5, False)])
def test_an_encoder_of_another_pace_fails_the_gate(
    draft: Draft, spoken: Spoken, factor: float, passes: bool
) -> None:
    encoder = Retimed(draft.stages().encoder, lambda durations: durations * np.float32(factor))
    found = judge.quality(draft, spoken, {"encoder": encoder}, ["spectral"])
    assert found.figures["log_mel_l1"].mean == 0.0
    assert found.figures["duration_total"].mean == pytest.approx(factor - 1, abs=1e-4)
    assert not found.problems
    verdict = hold(GATE, found.figures)
    assert verdict.passed == passes
    assert verdict.passed or verdict.reasons[0].startswith("duration_total changes by")


def test_durations_that_are_no_numbers_are_broken(draft: Draft, spoken: Spoken) -> None:
    encoder = Retimed(draft.stages().encoder, lambda durations: durations * np.float32("nan"))
    found = judge.quality(draft, spoken, {"encoder": encoder}, ["spectral"])
    assert "sentence 2 has durations that are no numbers" in found.problems


def test_another_front_end_makes_another_key(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results are not used again where the same sentences have become other phonemes."""
    before = draft.key(["One sentence."])
    assert draft.key(["One sentence."]) == before != draft.key(["Another one."])
    first, rest = draft.ids(["One sentence."])[0][:3], draft.ids(["One sentence."])[0][3:]
    monkeypatch.setattr(Draft, "ids", lambda *_: [first, rest])
    parted = draft.key(["One sentence."])
    monkeypatch.setattr(Draft, "ids", lambda *_: [np.concatenate([first, rest])])
    assert draft.key(["One sentence."]) == before != parted


def test_other_stages_have_no_durations_to_judge(draft: Draft, spoken: Spoken) -> None:
    found = judge.quality(draft, spoken, {"vocoder": draft.stages().vocoder}, ["spectral"])
    assert "duration_total" not in found.figures
    verdict = hold(GATE, found.figures)
    assert verdict.passed
    assert "duration_total" not in verdict.unmeasured
