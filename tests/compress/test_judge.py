"""What a new encoder's own durations lose, which are not heard where sounds of one length are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.gate import Thresholds
from calibration.gate import judge as hold
from calibration.measures import inspect
from compress import judge, teachers
from compress.draft import Draft, Spoken, prepare, speak
from compress.recipe import load
from compress.workspace import Workspace
from edgevoice.manifest import Durations
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


@pytest.mark.parametrize(("factor", "passes"), [(1.0, True), (1.005, True), (3.0, False), (0.5, False)])
def test_an_encoder_of_another_pace_fails_the_gate(
    draft: Draft, spoken: Spoken, factor: float, passes: bool
) -> None:
    encoder = Retimed(draft.stages().encoder, lambda durations: durations * np.float32(factor))
    found = judge.quality(draft, spoken, {"encoder": encoder}, ["spectral"])
    assert found.figures["log_mel_l1"].mean == 0.0
    total, size = (found.figures[name].mean for name in ("duration_total", "duration_sentence"))
    assert total == pytest.approx(factor - 1, rel=0.3, abs=0.02)  # in whole frames
    assert size == abs(total)
    assert not found.problems
    verdict = hold(GATE, found.figures)
    assert verdict.passed == passes
    assert verdict.passed or verdict.reasons[0].startswith("duration_sentence is")


def test_opposite_errors_do_not_cancel(draft: Draft, spoken: Spoken) -> None:
    factors = iter([1.25, 0.75])
    encoder = Retimed(draft.stages().encoder, lambda durations: durations * np.float32(next(factors)))
    found = judge.quality(draft, spoken, {"encoder": encoder}, ["spectral"])
    total, size = (found.figures[name].mean for name in ("duration_total", "duration_sentence"))
    assert abs(total) < GATE.duration_sentence < size
    assert [reason.split()[0] for reason in hold(GATE, found.figures).reasons] == ["duration_sentence"]


def test_lengths_are_judged_in_whole_frames() -> None:
    """What rounding makes of them: a little off, on many short phonemes, is a frame each."""
    theirs, ours = np.full(10, 1.95, np.float32), np.full(10, 2.05, np.float32)
    found = judge.durations([theirs], [ours], Durations("ceil"))
    assert found.figures["duration_total"].mean == pytest.approx(0.5)
    assert found.figures["duration_frames"].mean == pytest.approx(0.1)
    assert judge.durations([theirs], [ours], Durations("nearest")).figures["duration_total"].mean == 0


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
    assert not [name for name in found.figures if name.startswith("duration")]
    verdict = hold(GATE, found.figures)
    assert verdict.passed
    assert not [name for name in verdict.unmeasured if name.startswith("duration")]


class Loud:
    """A vocoder that is ``gain`` times as loud, clipped at full scale."""

    def __init__(self, engine: Engine, gain: float) -> None:
        self.inputs, self._engine, self._gain = engine.inputs, engine, np.float32(gain)

    def run(self, feeds: Mapping[str, Array]) -> list[Array]:
        return [np.clip(out * self._gain, -1, 1) for out in self._engine.run(feeds)]


def test_a_stage_that_clips_less_than_fp32_is_not_broken(draft: Draft, spoken: Spoken) -> None:
    vocoder = draft.stages().vocoder
    gain = 3 / max(float(np.abs(sound).max()) for sound in spoken.sounds)
    loud = replace(spoken, sounds=judge.heard(draft, spoken, {"vocoder": Loud(vocoder, gain)}))
    shares = [inspect(sound, draft.staged.sample_rate).clipped for sound in loud.sounds]
    assert all(share > 0.002 for share in shares)
    softer = judge.quality(draft, loud, {"vocoder": Loud(vocoder, 0.99 * gain)}, ["spectral"])
    louder = judge.quality(draft, loud, {"vocoder": Loud(vocoder, 2 * gain)}, ["spectral"])
    assert softer.problems == []
    assert sum(" clips in " in problem for problem in louder.problems) == 2
