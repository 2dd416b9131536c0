"""What a smaller stage costs and gains: its sound against FP32 at the same durations and noise; its time."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from calibration.measures.classes import FIGURES, class_distances, duration_error
from calibration.measures.compare import Comparison, compare
from calibration.measures.spectral import mean_log_mel_l1
from calibration.measures.statistics import Interval, mean
from compress.draft import Draft, Feeds, Spoken, say
from edgevoice import manifest
from edgevoice.manifest import StageName
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.synthesis import expand

Float = npt.NDArray[np.float32]

ROUNDS = 7
TIMED_SECONDS = 4.0


class Forced:
    """A candidate encoder whose durations are replaced, so that both sounds have the same length.

    ``own``: the durations that it gave itself, sentence by sentence.
    """

    def __init__(self, engine: Engine, durations: Sequence[Float]) -> None:
        self.inputs = engine.inputs
        self.own: list[Float] = []
        self._engine, self._durations = engine, iter(durations)

    def run(self, feeds: Mapping[str, Array]) -> list[Float]:
        hidden, own = self._engine.run(feeds)
        self.own.append(own)
        return [hidden, next(self._durations)]


def heard(draft: Draft, spoken: Spoken, engines: Mapping[StageName, Engine]) -> list[Float]:
    """What ``spoken`` said, with ``engines`` in place of its FP32 stages, at its durations and noise."""
    ready, _ = _at_its_durations(spoken, engines)
    return say(draft, spoken.sentences, spoken.seed, draft.stages(ready))


def _at_its_durations(
    spoken: Spoken, engines: Mapping[StageName, Engine]
) -> tuple[Mapping[StageName, Engine], Forced | None]:
    if "encoder" not in engines:
        return engines, None
    forced = Forced(engines["encoder"], spoken.durations)
    return {**engines, "encoder": forced}, forced


def quality(
    draft: Draft, spoken: Spoken, engines: Mapping[StageName, Engine], groups: Sequence[str]
) -> Comparison:
    """The voice with ``engines`` in place of its FP32 stages, against the FP32 voice.

    Its problems are not FP32's too: a stage that answers NaN is broken, not merely worse.
    A new encoder's own durations are not heard, and have figures of their own; so has each class of sounds.
    """
    ready, forced = _at_its_durations(spoken, engines)
    sounds = say(draft, spoken.sentences, spoken.seed, draft.stages(ready))
    rate = draft.staged.sample_rate
    found = compare(spoken.sounds, sounds, rate, texts=spoken.sentences, groups=groups)
    figures = {**found.figures, **_by_class(draft, spoken, sounds)}
    if forced is None:
        return replace(found, figures=figures)
    timed = durations(spoken.durations, forced.own, draft.staged.durations)
    return replace(found, figures={**figures, **timed.figures}, problems=[*found.problems, *timed.problems])


def _by_class(draft: Draft, spoken: Spoken, sounds: Sequence[Float]) -> dict[str, Interval]:
    """Log-mel L1 of sibilants, vowels, ...: over the sentences that have any."""
    staged = draft.staged
    rows: dict[str, list[float]] = {}
    ids = [feeds["phonemes"][0] for feeds in spoken.feeds["encoder"]]
    for own, before, after, durations in zip(ids, spoken.sounds, sounds, spoken.durations, strict=True):
        frames = expand(np.ravel(durations), 1.0, staged.durations).tolist()
        symbols = staged.table.symbols_of(own)
        apart = class_distances(before, np.nan_to_num(after), staged.sample_rate, staged.hop, symbols, frames)
        for name, value in apart.items():
            rows.setdefault(f"log_mel_{name}", []).append(value)
    return {name: mean(rows[name]) for name in FIGURES if name in rows}


def durations(theirs: Sequence[Float], ours: Sequence[Float], rule: manifest.Durations) -> Comparison:
    """Of each sentence's durations, in frames: mean error of a phoneme, and the change of the whole."""
    rows: dict[str, list[float]] = {}
    problems = []
    for number, (first, second) in enumerate(zip(theirs, ours, strict=True), start=1):
        if first.shape != second.shape or not np.isfinite(second).all():
            problems.append(f"sentence {number} has durations that are no numbers")
            continue
        for name, value in duration_error(first, second, rule).figures().items():
            rows.setdefault(name, []).append(value)
    return Comparison({name: mean(row) for name, row in rows.items()}, rows, problems)


def seeds_apart(draft: Draft, spoken: Spoken) -> float:
    """Mean log-mel L1, in nepers, between two noise seeds of the same sentences in FP32, durations equal.

    What a listener takes for the same voice differs by this much: the scale of every other distance.
    """
    others = heard(draft, replace(spoken, seed=spoken.seed + 1), {"encoder": draft.stages().encoder})
    return mean_log_mel_l1(spoken.sounds, others, draft.staged.sample_rate)


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
