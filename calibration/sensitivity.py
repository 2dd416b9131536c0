"""Which layers INT8 may touch: each group alone against FP32, ranked, then the largest set that passes.

Every evaluation is kept on disk, so a stopped search goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.groups import Group
from calibration.measures.spectral import log_mel_l1
from calibration.quantize import quantize
from calibration.ranges import Histogram
from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track

Wave = npt.NDArray[np.floating[Any]]
RANKING = 0.7
"""Share of the time for ranking; the rest is for sets."""
HOPELESS = 1.2
"""A layer is not tried where the set with it should lose this many times the limit."""

Render = Callable[[Path], Sequence[Wave]]
"""From a stage's file to waveforms of whole sentences that calibration did not see.

Whole, with their pauses: on windows from the middle of sentences the search kept a layer whose hiss is heard
in the pauses, and 0.23 nepers there were 0.41 over the sentences.
"""


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


class _Evaluator:
    """Quantises sets of groups and remembers what each lost."""

    def __init__(
        self,
        model: Path,
        render: Render,
        rate: int,
        groups: Sequence[Group],
        histograms: Mapping[str, Histogram],
        state: Path | None,
        options: Mapping[str, object],
    ) -> None:
        self.model, self.render, self.rate, self.groups = model, render, rate, {g.name: g for g in groups}
        self.histograms, self.state, self.options = histograms, state, dict(options)
        self.reference = [np.asarray(sound) for sound in render(model)]
        self.key = self._fingerprint()
        self.known = self._read()
        self.made = 0

    def loss(self, names: Sequence[str]) -> float:
        """Mean log-mel L1 with the named groups in INT8."""
        if not names:
            return 0.0
        key = "\n".join(sorted(names))
        if key not in self.known:
            self.known[key] = self._measure(names)
            self.made += 1
            self._write()
        return self.known[key]

    def share(self, names: Sequence[str]) -> float:
        return sum(self.groups[name].share for name in names)

    def excluded(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(
            layer for group in self.groups.values() if group.name not in names for layer in group.layers
        )

    def curve(self) -> tuple[tuple[float, float], ...]:
        sets = [(key.split("\n"), loss) for key, loss in self.known.items()]
        return tuple(
            sorted((self.share(names), loss) for names, loss in sets if set(names) <= set(self.groups))
        )

    def _measure(self, names: Sequence[str]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trial.onnx"
            quantize(
                self.model,
                path,
                exclude=self.excluded(names),
                histograms=self.histograms,
                check=False,
                **self.options,  # type: ignore[arg-type]
            )
            sounds = self.render(path)
        losses = [log_mel_l1(a, b, self.rate) for a, b in zip(self.reference, sounds, strict=True)]
        return float(np.mean(losses))

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self.model.read_bytes())
        digest.update(json.dumps(self.options, sort_keys=True, default=sorted).encode())
        for name in sorted(self.histograms):
            digest.update(self.histograms[name].counts.tobytes())
        for sound in self.reference:
            digest.update(np.ascontiguousarray(sound, np.float32).tobytes())
        return digest.hexdigest()

    def _read(self) -> dict[str, float]:
        if self.state is None or not self.state.is_file():
            return {}
        try:
            kept = json.loads(self.state.read_text())
            return dict(kept["losses"]) if kept["key"] == self.key else {}
        except (ValueError, KeyError, TypeError):
            return {}  # cut short or foreign: measured again

    def _write(self) -> None:
        if self.state is None:
            return
        self.state.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.state.name}.", dir=self.state.parent)
        with os.fdopen(handle, "w") as file:
            json.dump({"key": self.key, "losses": self.known}, file, indent=1, sort_keys=True)
        os.replace(name, self.state)


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
    judge = _Evaluator(Path(model), render, rate, groups, histograms, Path(state) if state else None, options)
    start, span = time.process_time(), float("inf") if seconds is None else seconds
    ranking = _rank(judge, groups, start + RANKING * span)
    chosen, finished = _largest(judge, ranking, limit, start + span)
    return Sensitivity(
        ranking=tuple(ranking),
        chosen=tuple(chosen),
        left={entry.group.name: entry.loss for entry in ranking if entry.group.name not in chosen},
        exclude=judge.excluded(chosen),
        loss=judge.loss(chosen),
        share=judge.share(chosen),
        limit=limit,
        evaluations=judge.made,
        complete=finished and all(entry.loss is not None for entry in ranking),
        curve=judge.curve(),
    )


def _rank(judge: _Evaluator, groups: Sequence[Group], end: float) -> list[Ranked]:
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


def _largest(
    judge: _Evaluator, ranking: Sequence[Ranked], limit: float, end: float
) -> tuple[list[str], bool]:
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
    judge: _Evaluator, rows: Sequence[tuple[str, float]], passing: int, limit: float, end: float
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
