"""Whether an engine gives what its stage gives, and how long it takes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

import numpy as np

from edgevoice.runtime.engines import Array, Engine

Feeds = Mapping[str, Array]

LEAST_SNR_DB = 6.0
"""A broken engine gives numbers that have nothing to do with the stage's; INT8's own loss is far above."""

RUNS, WARM_RUNS = 20, 3


def differs(outputs: Sequence[Array], reference: Sequence[Array]) -> str:
    """Why the outputs cannot be the stage's; FP16 that overflowed, for one."""
    for got, wanted in zip(outputs, reference, strict=True):
        if got.shape != wanted.shape:
            return f"its output has the shape {got.shape} instead of {wanted.shape}"
        if not np.isfinite(got).all():
            return "it gives numbers that are none (NaN or infinity)"
        power = float(np.mean(np.square(wanted, dtype=np.float64)))
        noise = float(np.mean(np.square(got.astype(np.float64) - wanted.astype(np.float64))))
        if noise > power * 10 ** (-LEAST_SNR_DB / 10) + 1e-12:
            return "its output has little to do with the stage's"
    return ""


def median(engine: Engine, feeds: Feeds) -> float:
    """Milliseconds of one run."""
    times = []
    for _ in range(WARM_RUNS + RUNS):
        start = time.perf_counter()
        engine.run(feeds)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[WARM_RUNS:])


def steps(feeds: Feeds) -> int:
    """The window's length, in ids or frames."""
    return int(next(iter(feeds.values())).shape[-1])
