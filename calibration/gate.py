"""The quality gate: thresholds from the recipe's ``[gate]`` table, and a verdict that gives its reasons."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from calibration.measures import classes
from calibration.measures.statistics import Interval
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Standing


@dataclass(frozen=True)
class Thresholds:
    """What a candidate may lose against FP32 at the same durations and noise. None: that figure is not
    judged.

    The means are judged. Word errors alone are judged by the lower end of their interval: a sentence more or
    less moves their mean further than the threshold. What a limit inside an interval leaves open is told by
    `standing`. Waveform SNR is no threshold, because it ranked wrongly here.
    """

    log_mel_l1: float | None = 0.3
    """Largest mean log-mel distance, in nepers."""
    log_mel_class: float | None = None
    """Largest mean log-mel distance of any class of sounds: sibilants, vowels, pauses, ..."""
    stft_distance: float | None = None
    """Largest multi-resolution STFT distance."""
    dnsmos_overall: float | None = 0.05
    """Largest loss of DNSMOS overall, in points."""
    dnsmos_background: float | None = 0.1
    """Largest loss of DNSMOS background: hiss."""
    dnsmos_p808: float | None = 0.1
    """Largest loss of DNSMOS P.808."""
    speaker_cosine: float | None = 0.97
    """Smallest mean d-vector cosine; two noise seeds of one text give 0.98."""
    wer: float | None = 0.003
    """Largest rise of the word error rate, as a share of the words."""
    f0_cents: float | None = 20.0
    """Largest mean pitch error."""
    voicing_error: float | None = 0.1
    """Largest share of frames whose voicing changes."""
    duration_frames: float | None = None
    """Largest mean error of a phoneme's own duration, in frames; only an encoder has one."""
    duration_sentence: float | None = 0.03
    """Largest mean size of a sentence's change of length by its own durations, as a share of it: a sentence
    that is too short does not make up for one that is too long. Two noise seeds of joe's are 0.018 apart."""
    stoi: float | None = None
    """Smallest STOI."""
    pesq: float | None = None
    """Smallest PESQ."""

    @staticmethod
    def from_dict(table: Mapping[str, Any], where: str = "gate") -> Thresholds:
        """Thresholds from a recipe's table ``where``: a number each, ``false`` turns one off; unknown keys
        are refused."""
        known = [entry.name for entry in fields(Thresholds)]
        for name, value in table.items():
            if name not in known:
                raise EdgevoiceError(
                    f"the recipe's [{where}] has no threshold {name!r}: known are {', '.join(known)}"
                )
            if value is not False and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise EdgevoiceError(
                    f"the recipe's [{where}] {name} is {value!r}: give a number, or false for none"
                )
        return Thresholds(**{n: None if v is False else float(v) for n, v in table.items()})


GROUPS = {
    "dnsmos_overall": "dnsmos",
    "dnsmos_background": "dnsmos",
    "dnsmos_p808": "dnsmos",
    "speaker_cosine": "speaker",
    "wer": "words",
    "f0_cents": "pitch",
    "voicing_error": "pitch",
    "stoi": "stoi",
    "pesq": "pesq",
}
"""The group of `calibration.measures` that gives a threshold's figure, where it is not a spectral one."""


def groups_asked(table: Mapping[str, Any]) -> list[str]:
    """The groups of measures that the thresholds named in a recipe's table need."""
    return list(dict.fromkeys(GROUPS[n] for n, limit in table.items() if n in GROUPS and limit is not False))


@dataclass(frozen=True)
class Verdict:
    """Whether a candidate passes, and why not."""

    passed: bool
    reasons: tuple[str, ...]
    """One line for each threshold that is crossed."""
    unmeasured: tuple[str, ...]
    """Thresholds without a figure: they were not judged, and a report says so."""


def judge(thresholds: Thresholds, figures: Mapping[str, Interval]) -> Verdict:
    """Hold `calibration.measures.Comparison.figures` against the thresholds."""
    reasons, unmeasured = [], []
    for entry in fields(Thresholds):
        limit = getattr(thresholds, entry.name)
        if limit is None:
            continue
        found = [name for name in figures if threshold_of(name) == entry.name]
        reasons += [_reason(name, limit, figures[name]) for name in found]
        if not found and entry.name not in _OF_AN_ENCODER:
            unmeasured.append(entry.name)
    crossed = tuple(reason for reason in reasons if reason)
    return Verdict(not crossed, crossed, tuple(unmeasured))


def threshold_of(figure: str) -> str:
    """The name of the threshold that a figure is held against."""
    return "log_mel_class" if figure in classes.FIGURES else figure


def asks(thresholds: Thresholds, name: str) -> str:
    """What the gate asks of the figure of that name, for a table; empty where it is not judged."""
    limit = getattr(thresholds, threshold_of(name), None)
    if limit is None:
        return ""
    if name in _LOSSES:
        return f"at most {limit:g} lost"
    return f"at {'least' if name in _SMALLEST else 'most'} {limit:g}"


def standing(thresholds: Thresholds, name: str, figure: Interval) -> Standing:
    """Which side of the limit the whole interval is on: "met" or "missed"; "open" where the limit lies inside
    it, so that more sentences would decide; one sentence decides nothing. Empty where nothing is asked.
    """
    limit = getattr(thresholds, threshold_of(name), None)
    if limit is None or not math.isfinite(figure.mean):
        return "" if limit is None else "missed"
    if figure.count < 2:
        return "open"
    better, worse = sorted((_lost(name, figure.low), _lost(name, figure.high)))
    most = _lost(name, limit) if name in _SMALLEST else limit
    return "met" if worse <= most else "missed" if better > most else "open"


_SMALLEST = ("speaker_cosine", "stoi", "pesq")
_OF_AN_ENCODER = ("duration_frames", "duration_sentence")
_LOSSES = ("dnsmos_overall", "dnsmos_background", "dnsmos_p808")


def _lost(name: str, value: float) -> float:
    """The value so that more is worse."""
    return -value if name in _SMALLEST + _LOSSES else value


def _reason(name: str, limit: float, figure: Interval) -> str:
    """Why ``figure`` fails, or an empty string."""
    most = _lost(name, limit) if name in _SMALLEST else limit
    if _lost(name, figure.low if name == "wer" else figure.mean) <= most:
        return ""
    found = f"{figure.mean:.3f} ({figure.low:.3f} to {figure.high:.3f}, {figure.count} sentences)"
    if name in _SMALLEST:
        return f"{name} is {found}, at least {limit:g} is asked"
    if name in _LOSSES:
        return f"{name} changes by {found}, at most {limit:g} may be lost"
    verb = "rises by" if name == "wer" else "is"
    return f"{name} {verb} {found}, at most {limit:g} is allowed"
