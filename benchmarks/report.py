"""Samples to a table: medians, 95th percentiles, and how many times ours each peer is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engines import Contestant
from benchmarks.measure import GAPLESS, Samples
from calibration.atomic import atomic
from edgevoice.bench import Spread
from edgevoice.errors import EdgevoiceError


@dataclass(frozen=True)
class Ratio:
    """Peer / ours: the median over the rounds, and the 5th to 95th percentile from round to round."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, peer: Sequence[float], ours: Sequence[float]) -> Ratio:
        rounds = np.array(peer) / np.array(ours)
        low, median, high = np.percentile(rounds, [5, 50, 95])
        return cls(float(median), float(low), float(high))


def summary(samples: Samples, contestants: Sequence[Contestant]) -> dict[str, Any]:
    """Row -> {"spreads": engine -> Spread, "ratios": our bundle -> peer -> Ratio}, as plain types."""
    against = rivals(contestants)
    return {
        row: {
            "spreads": {name: asdict(Spread.of(values)) for name, values in engines.items()},
            "ratios": {
                own: {peer: asdict(Ratio.of(engines[peer], engines[own])) for peer in peers}
                for own, peers in against.items()
            },
        }
        for row, engines in samples.items()
        if row != GAPLESS
    }


def rivals(contestants: Sequence[Contestant]) -> dict[str, list[str]]:
    """What each bundle of ours is held against: all peers, and our bundles that were named before it."""
    ours, peers = ([one.name for one in contestants if one.ours is which] for which in (True, False))
    return {own: [*peers, *ours[:place]] for place, own in enumerate(ours)}


def table(rows: dict[str, Any], contestants: Sequence[Contestant]) -> list[list[str]]:
    """Header and cells: median (95th percentile) of each engine, then the ratios (5th to 95th percentile)."""
    names = [one.name for one in contestants]
    against = rivals(contestants)
    pairs = [(own, peer) for own, peers in against.items() for peer in peers]
    titles = [f"{peer} ÷ {own if len(against) > 1 else 'ours'}" for own, peer in pairs]
    lines = [["median (p95)", *names, *titles]]
    for row, figures in rows.items():
        spreads = [_spread(figures["spreads"][name]) for name in names]
        ratios = [_ratio(figures["ratios"][own][peer]) for own, peer in pairs]
        lines.append([row, *spreads, *ratios])
    return lines


def _spread(spread: dict[str, float]) -> str:
    if spread["runs"] == 1:
        return number(spread["median"])
    return f"{number(spread['median'])} ({number(spread['p95'])})"


def _ratio(ratio: dict[str, float]) -> str:
    if ratio["low"] == ratio["high"]:
        return f"{ratio['median']:.2f}"
    return f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"


def number(value: float) -> str:
    """Three figures, whole numbers from 100 on, no exponent."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"


def text(lines: Sequence[Sequence[str]]) -> str:
    """Aligned columns, the first to the left."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *body = ["| " + " | ".join(line) + " |" for line in lines]
    rule = "| --- |" + " ---: |" * (len(lines[0]) - 1)
    return "\n".join([head, rule, *body])


def check(path: Path | None) -> None:
    """Refuse a file that cannot be written, before the work; what is there stays."""
    if path is None:
        return
    if path.exists() and not path.is_file():
        raise EdgevoiceError(f"cannot write {path}: it is no file")
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise EdgevoiceError(f"cannot write {path}: name a file in a folder that is there and may be written")


def write(path: Path, found: str) -> None:
    """Write ``found``, whole or not at all; raises `EdgevoiceError` where that is not possible."""
    check(path)
    with atomic(path) as file:
        file.write(f"{found}\n".encode())
