"""Which file of a stage a target gains from, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.measures.statistics import Interval
from edgevoice import manifest

WORTH = 1.05
"""A stage in INT8 must be this many times faster than FP32: below it the noise of a measurement decides."""


@dataclass(frozen=True)
class Measured:
    """A variant's file with what was measured and why the gate refuses it, if it does."""

    path: Path
    variant: manifest.Variant
    figures: dict[str, Interval]
    refused: str = ""


def for_cpu(plain: Measured, others: Sequence[Measured]) -> tuple[Measured, str]:
    """The fastest file that passed the gate and is worth it."""
    best, reason = plain, "FP32: nothing smaller was tried"
    reasons = []
    for candidate in others:
        speed = _speed(plain, candidate)
        what = f"{candidate.variant.precision.upper()} is {speed:.2f} times as fast as FP32"
        if candidate.refused:
            reasons.append(f"{what} but fails the gate ({candidate.refused})")
        elif speed < WORTH:
            reasons.append(f"{what}, which is not worth its loss")
        elif best is plain or _speed(best, candidate) > 1:
            best, reason = candidate, f"{what} and passes the gate"
    if best is plain and reasons:
        reason = "FP32: " + "; ".join(reasons)
    return best, reason


def _speed(slow: Measured, fast: Measured) -> float:
    return (slow.variant.milliseconds or 0.0) / (fast.variant.milliseconds or float("inf"))
