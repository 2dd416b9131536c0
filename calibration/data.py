"""Calibration data: sentences chosen for coverage, cut into windows of one length, checked, and recorded.

INT8 ranges come from what a stage really gets, so the sentences pass the real front end and the stages
before. Unfit data is refused here and never replaced without a word.
"""

from __future__ import annotations

import hashlib
import heapq
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.measures.signal import inspect
from edgevoice.errors import EdgevoiceError

FEWEST = 8
"""Sentences below which ranges depend on which ones they are."""
LEAST_SYMBOLS = 0.75
"""Share of the language's speech sounds that must occur."""
MOST_SURPRISE = 0.3
"""Nats by which a neighbouring pair of sounds may surprise more than one of the reference text does. English
samples lie within 0.08, a choice for coverage at 0.18, German and Spanish read by English rules at 0.46 and
0.50."""
STATIC_INPUTS = ("speaker", "emotion")
MARKS = ".,!?;:—…-"
_WEIGHTS = {"symbol": 4.0, "diphone": 1.0, "length": 8.0, "mark": 4.0}

Sample = Mapping[str, npt.NDArray[np.generic]]
"""One sentence's inputs of a stage."""
Window = dict[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class CalibrationRecord:
    """What goes into the manifest."""

    sentences: int
    sha256: str
    """Of the sentences in the order of their choice, as `listed` writes them."""
    coverage: dict[str, float]
    """Shares from 0 to 1: "symbols", "diphones" and "marks" of the reference's; "surprise" in nats is near 0
    for text like the reference (`surprise`)."""


def select(phonemes: Sequence[str], count: int) -> list[int]:
    """Indices of at most ``count`` sentences that cover most, the best first; equal on every run.

    Greedy over symbols, neighbouring symbols, lengths and punctuation. The n-th occurrence of a feature
    counts 1/n^2, so that rare ones are sought first and the choice goes on when all have occurred; the square
    root of the length is the price, or only the longest sentences would be taken.
    """
    bags = [_features(sentence) for sentence in phonemes]
    seen: Counter[str] = Counter()
    queue = [(-_gain(bag, seen), index) for index, bag in enumerate(bags) if bag]
    heapq.heapify(queue)
    chosen: list[int] = []
    while queue and len(chosen) < count:
        _, index = heapq.heappop(queue)
        fresh = -_gain(bags[index], seen)
        if queue and fresh > queue[0][0]:  # gains only shrink: one that is still the least is the best
            heapq.heappush(queue, (fresh, index))
            continue
        chosen.append(index)
        seen.update(bags[index])
    return chosen


def _features(sentence: str) -> set[str]:
    if not any(_speech(symbol) for symbol in sentence):
        return set()
    features = {f"symbol {symbol}" for symbol in sentence if _speech(symbol)}
    features |= {f"diphone {pair}" for pair in diphones(sentence)}
    features |= {f"mark {symbol}" for symbol in sentence if symbol in MARKS}
    features.add(f"length {int(2 * math.log2(len(sentence)))}")
    return features


def _gain(features: set[str], seen: Counter[str]) -> float:
    total = sum(_WEIGHTS[name.partition(" ")[0]] / (1.0 + seen[name]) ** 2 for name in sorted(features))
    symbols = sum(name.startswith("diphone") for name in features) + 10
    return round(total / math.pow(symbols, 0.75), 9)


def _speech(symbol: str) -> bool:
    """Whether a symbol is a speech sound: no mark, space, stress or tie."""
    return unicodedata.category(symbol) in ("Ll", "Lo") or symbol in "ᵻᵊ"


def diphones(sentence: str) -> list[str]:
    """Neighbouring speech sounds; stress and length marks are passed over, pauses are "|"."""
    sounds = [s if _speech(s) else "|" for s in f" {sentence} " if _speech(s) or s.isspace() or s in MARKS]
    return [a + b for a, b in pairwise(sounds) if a + b != "||"]


def record(
    texts: Sequence[str], phonemes: Sequence[str], reference: Sequence[str] | None = None
) -> CalibrationRecord:
    """Describe a set of sentences. ``reference``: phonemes of much text of the voice's language, such as the
    source the sentences were chosen from; shares are of what occurs there."""
    base = phonemes if reference is None else reference
    symbols, pairs = Counter(s for p in base for s in p if _speech(s)), {d for p in base for d in diphones(p)}
    common = {symbol for symbol, count in symbols.items() if count >= max(1, sum(symbols.values()) // 20000)}
    marks = {s for p in base for s in p if s in MARKS}
    said = {s for p in phonemes for s in p}
    coverage = {
        "symbols": len(said & common) / max(1, len(common)),
        "diphones": len({d for p in phonemes for d in diphones(p)} & pairs) / max(1, len(pairs)),
        "marks": len(said & marks) / max(1, len(marks)),
        "surprise": surprise(phonemes, base),
    }
    digest = hashlib.sha256(listed(texts).encode()).hexdigest()
    return CalibrationRecord(len(texts), digest, {name: round(share, 4) for name, share in coverage.items()})


def listed(texts: Sequence[str]) -> str:
    """The sentences as a text file, one a line."""
    return "".join(f"{text}\n" for text in texts)


def surprise(phonemes: Sequence[str], reference: Sequence[str]) -> float:
    """How much more a neighbouring pair of sounds surprises than one of the reference text does, in nats."""
    counts = Counter(pair for sentence in reference for pair in diphones(sentence))
    total = sum(counts.values()) + 0.5 * len(counts)

    def average(sentences: Sequence[str]) -> float:
        pairs = [pair for sentence in sentences for pair in diphones(sentence)]
        return -sum(math.log((counts[pair] + 0.5) / max(total, 1.0)) for pair in pairs) / max(1, len(pairs))

    return average(phonemes) - average(reference)


def require_fit(
    texts: Sequence[str],
    phonemes: Sequence[str],
    reference: Sequence[str] | None = None,
    skipped: int = 0,
) -> CalibrationRecord:
    """The record of sentences that can calibrate a voice.

    skipped: phonemes that the voice's table does not have.
    Raises EdgevoiceError for too few different sentences, too few of the language's sounds, another language.
    """
    found = record(texts, phonemes, reference)
    different = len(set(texts))
    total = max(1, sum(map(len, phonemes)))
    if different < FEWEST:
        raise EdgevoiceError(f"calibration needs at least {FEWEST} different sentences, it got {different}")
    if not any(_speech(symbol) for sentence in phonemes for symbol in sentence):
        raise EdgevoiceError("the calibration sentences have nothing to say: give it ordinary text")
    if skipped / total > 0.02:
        raise EdgevoiceError(
            f"{skipped / total:.0%} of the calibration text's sounds are unknown to the voice: "
            "is it text of another language?"
        )
    if found.coverage["surprise"] > MOST_SURPRISE:
        raise EdgevoiceError(
            "the calibration text's sounds follow each other as they rarely do in the voice's language "
            f"(surprise {found.coverage['surprise']:.2f}, at most {MOST_SURPRISE}): another language?"
        )
    if found.coverage["symbols"] < LEAST_SYMBOLS:
        raise EdgevoiceError(
            f"the calibration text has {found.coverage['symbols']:.0%} of the language's sounds, at least "
            f"{LEAST_SYMBOLS:.0%} are needed: give it more sentences"
        )
    return found


def require_sound(sounds: Sequence[npt.NDArray[np.floating[Any]]], rate: int) -> None:
    """Refuse calibration sentences whose FP32 sound is silent or broken: one is enough that is no numbers."""
    found = [inspect(sound, rate) for sound in sounds]
    for number, report in enumerate(found, start=1):
        if not report.finite:
            raise EdgevoiceError(
                f"calibration sentence {number} {report.problems()[0]} in FP32: the voice is broken"
            )
    bad = [(index, problem) for index, report in enumerate(found) for problem in report.problems()[:1]]
    if len(bad) * 4 > len(sounds):
        index, problem = bad[0]
        raise EdgevoiceError(
            f"{len(bad)} of {len(sounds)} calibration sentences are unfit (sentence {index + 1} {problem}): "
            "give it ordinary text"
        )


def windows(samples: Sequence[Sample], length: int, each: int = 2, seed: int = 0) -> list[Window]:
    """Windows of ``length`` steps from sentences' stage inputs, spread over each sentence; equal on every
    run.

    Inputs are cut on their last axis, except `speaker` and `emotion`; all that are cut have one length.
    Sentences shorter than ``length`` are left out. Raises EdgevoiceError if fewer than 8 sentences remain, or
    an input never changes.
    """
    generator = np.random.default_rng(seed)
    cut: list[Window] = []
    used = 0
    for sample in samples:
        steps = _steps(sample)
        used += steps >= length
        cut += [_cut(sample, start, length) for start in _starts(steps, length, each, generator)]
    if used < FEWEST:
        raise EdgevoiceError(
            f"calibration needs at least {FEWEST} sentences of {length} steps or more, it got {used}: "
            "give it longer sentences or a shorter window"
        )
    for name in cut[0]:
        if name not in STATIC_INPUTS and all(
            np.ptp(np.asarray(window[name], np.float64)) == 0.0 for window in cut
        ):
            raise EdgevoiceError(f"the calibration windows' {name} never changes: it is not real speech")
    return cut


def whole(samples: Sequence[Sample]) -> list[Window]:
    """Sentences uncut, for a stage that looks at all of a sentence (the encoder); lengths differ.

    Raises EdgevoiceError for fewer than 8.
    """
    if len(samples) < FEWEST:
        raise EdgevoiceError(f"calibration needs at least {FEWEST} sentences, it got {len(samples)}")
    return [{name: np.asarray(values) for name, values in sample.items()} for sample in samples]


def _steps(sample: Sample) -> int:
    lengths = {name: int(values.shape[-1]) for name, values in sample.items() if name not in STATIC_INPUTS}
    if len(set(lengths.values())) != 1:
        raise EdgevoiceError(f"a calibration sample's inputs differ in length: {lengths}")
    return next(iter(lengths.values()))


def _starts(steps: int, length: int, each: int, generator: np.random.Generator) -> Iterator[int]:
    """One start in each of ``each`` equal parts of the sentence, no two alike."""
    room = steps - length + 1
    if room < 1:
        return
    parts = [int(part) for part in np.linspace(0, room, min(each, room) + 1)]
    for first, last in pairwise(parts):
        yield int(generator.integers(first, max(first + 1, last)))


def _cut(sample: Sample, start: int, length: int) -> Window:
    return {
        name: np.asarray(values if name in STATIC_INPUTS else values[..., start : start + length])
        for name, values in sample.items()
    }
