"""What a smaller stage costs and gains: its sound against FP32 at the same durations and noise; its time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from calibration.measures.compare import Comparison, compare
from calibration.measures.spectral import log_mel_l1
from compress.draft import Draft, Feeds, Spoken, say
from edgevoice.manifest import StageName
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.engines.onnx import OnnxEngine

Float = npt.NDArray[np.float32]

ROUNDS = 7
TIMED_SECONDS = 4.0


class _Forced:
    """A candidate encoder whose durations are replaced, so that both sounds have the same length."""

    def __init__(self, engine: Engine, durations: Sequence[Float]) -> None:
        self.inputs = engine.inputs
        self._engine, self._durations = engine, iter(durations)

    def run(self, feeds: Mapping[str, Array]) -> list[Float]:
        hidden, _ = self._engine.run(feeds)
        return [hidden, next(self._durations)]


def heard(draft: Draft, spoken: Spoken, engines: Mapping[StageName, Engine]) -> list[Float]:
    """What ``spoken`` said, with ``engines`` in place of its FP32 stages, at its durations and noise."""
    ready: dict[StageName, Engine] = dict(engines)
    if "encoder" in ready:
        ready["encoder"] = _Forced(ready["encoder"], spoken.durations)
    return say(draft, spoken.sentences, spoken.seed, draft.stages(ready))


def quality(
    draft: Draft, spoken: Spoken, engines: Mapping[StageName, Engine], groups: Sequence[str]
) -> Comparison:
    """The voice with ``engines`` in place of its FP32 stages, against the FP32 voice.

    Its problems are those that FP32 does not have: a stage that answers NaN is broken, not merely worse.
    """
    sounds = heard(draft, spoken, engines)
    rate = draft.staged.sample_rate
    found = compare(spoken.sounds, sounds, rate, texts=spoken.sentences, groups=groups)
    had = compare(spoken.sounds, spoken.sounds, rate, groups=("spectral",)).problems
    return replace(found, problems=[problem for problem in found.problems if problem not in had])


def seeds_apart(draft: Draft, spoken: Spoken) -> float:
    """Mean log-mel L1, in nepers, between two noise seeds of the same sentences in FP32, durations equal.

    What a listener takes for the same voice differs by this much: the scale of every other distance.
    """
    encoder = _Forced(draft.stages().encoder, spoken.durations)
    others = say(draft, spoken.sentences, spoken.seed + 1, draft.stages({"encoder": encoder}))
    pairs = zip(spoken.sounds, others, strict=True)
    return float(np.mean([log_mel_l1(one, other, draft.staged.sample_rate) for one, other in pairs]))


def milliseconds(
    files: Sequence[Path], feeds: Sequence[Feeds], audio_seconds: Sequence[float]
) -> list[float]:
    """CPU milliseconds per second of audio of each file, one thread, the files in turn, medians.

    CPU time, because the other core's work moves the wall clock; in turn, because the clock rate drifts.
    """
    engines = [OnnxEngine(path, 1) for path in files]
    picked = _some(feeds, audio_seconds)
    seconds = sum(audio_seconds[number] for number in picked)
    rounds: list[list[float]] = []
    for _ in range(ROUNDS):
        rounds.append([_spent(engine, [feeds[number] for number in picked]) for engine in engines])
    warm = rounds[1:]
    return [1000 * median(row[place] for row in warm) / seconds for place in range(len(files))]


def _some(feeds: Sequence[Feeds], audio_seconds: Sequence[float]) -> list[int]:
    picked, total = [], 0.0
    for number in range(len(feeds)):
        if total < TIMED_SECONDS:
            picked.append(number)
            total += audio_seconds[number]
    return picked


def _spent(engine: Engine, feeds: Sequence[Feeds]) -> float:
    # Thread time counts this thread alone: with one thread the session runs on it.
    start = time.thread_time()
    for feed in feeds:
        engine.run(feed)
    return time.thread_time() - start
