"""A lower bound for a stage's time on a target, from its work and the device's peak figures.

Nothing runs at its peak: the bound says what cannot be beaten and which resource stands in the way, not what
will be measured. Only dense INT8 throughput counts here; the sparse figure needs weights pruned 2:4, which
our voices have not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from targets.errors import TargetError
from targets.profile import Target
from targets.render import columns

PEAK_FIGURE = {"fp32": "fp32_tflops", "fp16": "fp16_dense_tflops", "int8": "int8_dense_tops"}


@dataclass(frozen=True)
class Work:
    """One stage on one chunk: multiply-accumulates, and bytes that cross the memory bus at least once."""

    name: str
    precision: str
    macs: int
    weights_bytes: int
    activation_bytes: int = 0

    def __post_init__(self) -> None:
        if self.precision not in PEAK_FIGURE:
            known = ", ".join(PEAK_FIGURE)
            raise TargetError(f"stage {self.name}: precision {self.precision!r} is none of {known}")
        if min(self.macs, self.weights_bytes, self.activation_bytes) < 0:
            raise TargetError(f"stage {self.name}: work below zero")


@dataclass(frozen=True)
class Bound:
    """Estimated least seconds a chunk; None where the profile has no figure for it.

    `limited_by` is "compute", "bandwidth", or "unknown" where a figure is missing; `missing` names those.
    """

    name: str
    precision: str
    compute_s: float | None
    bandwidth_s: float | None
    limited_by: str
    missing: tuple[str, ...]

    @property
    def least_s(self) -> float | None:
        known = [seconds for seconds in (self.compute_s, self.bandwidth_s) if seconds is not None]
        return max(known) if known else None


def bound(work: Work, target: Target) -> Bound:
    """The roofline of one stage on a target."""
    figure = PEAK_FIGURE[work.precision]
    peak: float | None = getattr(target, figure)
    bandwidth = target.bandwidth_gb_s
    compute_s = None if peak is None else 2 * work.macs / (peak * 1e12)
    moved = work.weights_bytes + work.activation_bytes
    bandwidth_s = None if bandwidth is None else moved / (bandwidth * 1e9)
    missing = tuple(key for key, value in ((figure, peak), ("bandwidth_gb_s", bandwidth)) if value is None)
    limited_by = "unknown"
    if compute_s is not None and bandwidth_s is not None:
        limited_by = "compute" if compute_s > bandwidth_s else "bandwidth"
    return Bound(work.name, work.precision, compute_s, bandwidth_s, limited_by, missing)


def _milliseconds(seconds: float | None) -> str:
    return "no figure" if seconds is None else f"{seconds * 1e3:.3f} ms"


def table(works: Sequence[Work], target: Target, chunk_s: float) -> str:
    """The bounds as text; `chunk_s` is the sound that one chunk makes, in seconds."""
    if not works or chunk_s <= 0:
        raise TargetError("the roofline needs at least one stage and a chunk longer than 0 s")
    bounds = [bound(work, target) for work in works]
    rows = [["stage", "precision", "compute", "bandwidth", "limited by"]]
    for b in bounds:
        times = [_milliseconds(b.compute_s), _milliseconds(b.bandwidth_s)]
        rows.append([b.name, b.precision, *times, b.limited_by])
    head = f"least time a chunk on {target.id} (estimate from peak figures)"
    lines = [head, columns(rows, frozenset({2, 3}))]
    known = [b.least_s for b in bounds if b.least_s is not None]
    if len(known) == len(bounds):
        lines.append(f"RTF at least {sum(known) / chunk_s:.5f} (estimate)")
    missing = sorted({key for b in bounds for key in b.missing})
    if missing:
        lines.append(f"the profile has no {', '.join(missing)}")
    used = {PEAK_FIGURE[work.precision] for work in works} | {"bandwidth_gb_s"}
    unconfirmed = [key for key in target.unconfirmed if key in used]
    if unconfirmed:
        lines.append(f"unconfirmed: {', '.join(unconfirmed)}")
    return "\n".join(lines)
