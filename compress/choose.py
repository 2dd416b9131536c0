"""Which file of a stage a target gains from, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.measures.statistics import Interval
from edgevoice import manifest

WORTH = 1.05
"""INT8 must be this many times as fast as FP32: below it, what a measurement varies by decides."""


@dataclass(frozen=True)
class Measured:
    """A variant, what was measured, why it is refused if it is; ``path`` None: it was never written."""

    path: Path | None
    variant: manifest.Variant
    figures: dict[str, Interval]
    refused: str = ""


def for_cpu(plain: Measured, others: Sequence[Measured]) -> tuple[Measured, str]:
    """The fastest file that passed the gate and is worth it."""
    best, why, against = plain, "nothing smaller was tried", []
    for candidate in others:
        name = candidate.variant.precision.upper()
        if candidate.path is None:
            against.append(f"{name} could not be made ({candidate.refused})")
            continue
        speed = _speed(plain, candidate)
        what = f"{name} is {speed:.2f} times as fast as FP32"
        if candidate.refused:
            against.append(f"{what} but fails the gate: {candidate.refused}")
        elif speed < WORTH:
            against.append(f"{what}, not worth its loss")
        elif best is plain or _speed(best, candidate) > 1:
            best, why = candidate, f"{what} and passes the gate"
    return best, "; ".join(against) if best is plain and against else why


def for_tensorrt(plain: Measured, others: Sequence[Measured]) -> tuple[Measured, str]:
    """FP32 for ONNX Runtime; what travels for TensorRT, the device times and chooses."""
    travelling = [row.variant.precision.upper() for row in others if not row.refused]
    missing = [
        f"{row.variant.precision.upper()} {'fails the gate' if row.path else 'could not be made'}: "
        f"{row.refused}"
        for row in others
        if row.refused
    ]
    why = (
        f"the device times {' and '.join(travelling)} and chooses"
        if travelling
        else "only FP32 travels"
    )
    return plain, "; ".join([f"{why}; FP32 where only ONNX Runtime runs", *missing])


def _speed(slow: Measured, fast: Measured) -> float:
    return (slow.variant.milliseconds or 0.0) / (fast.variant.milliseconds or float("inf"))
