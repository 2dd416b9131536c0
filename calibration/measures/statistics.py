"""Differences paired over sentences, with bootstrap intervals that are the same on every run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from edgevoice.errors import EdgevoiceError

DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """A mean with its 95% interval over ``count`` sentences."""

    mean: float
    low: float
    high: float
    count: int

    def json(self) -> dict[str, float | int]:
        """Plain numbers for a manifest."""
        return asdict(self)


def mean(values: Sequence[float], seed: int = 0) -> Interval:
    """Mean of ``values`` with the percentile bootstrap's 95% interval (Efron, 1979)."""
    data = np.asarray(values, dtype=np.float64)
    if data.size == 0:
        raise EdgevoiceError("no values to average: the set of sentences is empty")
    picks = np.random.default_rng(seed).integers(0, data.size, (DRAWS, data.size))
    low, high = np.percentile(data[picks].mean(axis=1), [2.5, 97.5])
    return Interval(float(data.mean()), float(low), float(high), int(data.size))


def paired(first: Sequence[float], second: Sequence[float], seed: int = 0) -> Interval:
    """Mean of ``second - first`` sentence by sentence, with its 95% interval."""
    if len(first) != len(second):
        raise EdgevoiceError(f"paired values need the same sentences: {len(first)} against {len(second)}")
    return mean(list(np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)), seed)


def paired_rate(first: Sequence[int], second: Sequence[int], words: Sequence[int], seed: int = 0) -> Interval:
    """Difference of two error rates (total errors by total words), sentences drawn together.

    A word error rate weighs sentences by their length, so the mean of the sentences' rates would be another
    figure.
    """
    if not len(first) == len(second) == len(words) or not sum(words):
        raise EdgevoiceError("error rates need the same sentences on both sides and at least one word")
    errors = np.asarray(second, dtype=np.float64) - np.asarray(first, dtype=np.float64)
    total = np.asarray(words, dtype=np.float64)
    picks = np.random.default_rng(seed).integers(0, errors.size, (DRAWS, errors.size))
    rates = errors[picks].sum(axis=1) / np.maximum(1.0, total[picks].sum(axis=1))
    low, high = np.percentile(rates, [2.5, 97.5])
    return Interval(float(errors.sum() / total.sum()), float(low), float(high), int(errors.size))
