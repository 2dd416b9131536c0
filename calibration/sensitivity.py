"""Which layers INT8 may touch: each group alone against FP32, ranked, then the largest set that passes.

Every trial is kept on disk, so a stopped search goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from calibration.groups import Group
from calibration.quantize import without_range
from calibration.ranges import Histogram
from calibration.trials import Render, Trials
from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track

RANKING = 0.7
"""Share of the time for ranking; the rest is for sets."""
HOPELESS = 1.2
"""A layer is not tried where the set with it should lose this many times the limit."""


@dataclass(frozen=True)
class Ranked:
    """One group alone in INT8."""

    group: Group
    loss: float | None
    """Mean log-mel L1 to FP32; None where the time ran out before it was measured."""


@dataclass(frozen=True)
class Sensitivity:
    """What the search found."""

    ranking: tuple[Ranked, ...]
    """Most harmless first, by loss for each share of the multiplications."""
    chosen: tuple[str, ...]
    """Groups that go to INT8."""
    left: dict[str, float | None]
    """Groups that stay in floating point, with their loss alone."""
    exclude: tuple[str, ...]
    """Layers that stay in floating point: `calibration.quantize.quantize`'s ``exclude``."""
    loss: float
    """Of the chosen set together."""
    share: float
    """Of the multiplications that the chosen set does."""
    limit: float
    evaluations: int
    """Made in this run; what was on disk is not counted."""
    complete: bool
    """False where the time ran out."""
    curve: tuple[tuple[float, float], ...] = field(default=())
    """(share of multiplications, loss) of every set that was tried."""

    def json(self) -> dict[str, object]:
        """Plain values for a report."""
        return asdict(self)


def search(
    model: str | Path,
    render: Render,
    rate: int,
    groups: Sequence[Group],
    histograms: Mapping[str, Histogram],
    *,
    limit: float,
    state: str | Path | None = None,
    seconds: float | None = None,
    **options: object,
) -> Sensitivity:
    """Rank the groups and find the set with most multiplications whose loss is at most ``limit``.

    render: makes waveforms of sentences that calibration did not see from a stage's file, through the FP32
    rest of the voice. limit: mean log-mel L1. state: JSON file for resuming. seconds: of CPU time, after
    which no further evaluation starts; groups not ranked in 70% of it stay in floating point. options:
    `calibration.quantize.quantize`'s form, method, percentile, reduce_range, op_types.
    """
    if not groups:
        raise EdgevoiceError(f"{model} has no layers that INT8 could touch")
    living, dead = _split(groups, without_range(model, histograms, str(options.get("form", "cpu"))))
    judge = Trials(Path(model), render, rate, living, histograms, Path(state) if state else None, options)
    start, span = time.process_time(), float("inf") if seconds is None else seconds
    ranking = _rank(judge, living, start + RANKING * span)
    chosen, finished = _largest(judge, ranking, limit, start + span)
    return Sensitivity(
        ranking=tuple(ranking),
        chosen=tuple(chosen),
        left={entry.group.name: entry.loss for entry in ranking if entry.group.name not in chosen},
        exclude=judge.excluded(chosen) + dead,
        loss=judge.loss(chosen),
        share=judge.share(chosen),
        limit=limit,
        evaluations=judge.made,
        complete=finished and all(entry.loss is not None for entry in ranking),
        curve=judge.curve(),
    )


def _split(groups: Sequence[Group], dead: Collection[str]) -> tuple[list[Group], tuple[str, ...]]:
    """The groups without the layers whose tensors never changed in calibration, and those layers."""
    rows = [(group, tuple(layer for layer in group.layers if layer not in dead)) for group in groups]
    living = [replace(group, layers=layers) for group, layers in rows if layers]
    return living, tuple(layer for group in groups for layer in group.layers if layer in dead)


def _rank(judge: Trials, groups: Sequence[Group], end: float) -> list[Ranked]:
    """The groups alone, in graph order while there is time; sorted by harm for work."""
    rows = []
    for group in track(groups, "sensitivity: layers alone"):
        late = time.process_time() > end and group.name not in judge.known
        rows.append(Ranked(group, None if late else judge.loss([group.name])))
    return sorted(rows, key=_harm)


def _harm(entry: Ranked) -> tuple[float, str]:
    # Squares: layers together lost the root of their squares' sum (0.235 measured, 0.226 expected).
    loss = float("inf") if entry.loss is None else entry.loss**2 / max(entry.group.share, 1e-6)
    return loss, entry.group.name


def _largest(judge: Trials, ranking: Sequence[Ranked], limit: float, end: float) -> tuple[list[str], bool]:
    """The longest passing beginning of the ranking, then what else still fits, one by one.

    The first guess and each further one come from the root of the squares' sum, corrected by what was
    measured.
    """
    rows = [(row.group.name, row.loss) for row in ranking if row.loss is not None and row.loss <= limit]
    order = [name for name, _ in rows]
    together = np.sqrt(np.cumsum([loss**2 for _, loss in rows]))
    passing, failing, ratio = min(1, len(order)), len(order) + 1, 1.0
    while failing - passing > 1:
        if time.process_time() > end:
            return order[:passing], False
        expected = int(np.sum(ratio * together <= limit))
        size = min(max(expected, passing + 1), failing - 1)
        loss = judge.loss(order[:size])
        ratio = loss / max(float(together[size - 1]), 1e-9)
        passing, failing = (size, failing) if loss <= limit else (passing, size)
    return _added(judge, rows, passing, limit, end)


def _added(
    judge: Trials, rows: Sequence[tuple[str, float]], passing: int, limit: float, end: float
) -> tuple[list[str], bool]:
    """The first ``passing`` groups and those after them that still fit; hopeless ones are not tried."""
    chosen = [name for name, _ in rows[:passing]]
    for name, alone in track(rows[passing + 1 :], "sensitivity: adding layers"):
        if np.hypot(judge.loss(chosen), alone) > HOPELESS * limit:
            continue
        if time.process_time() > end:
            return chosen, False
        if judge.loss([*chosen, name]) <= limit:
            chosen.append(name)
    return chosen, True
