"""Ranges of activations, from one pass over calibration windows for every method.

ONNX Runtime's calibrators hold every intermediate tensor of every window in memory and take windows of one
length only. Here two runs over the windows (extremes, then histograms of at most 65,536 values a tensor and
window) keep memory flat, and min-max, percentile, entropy and MSE are read from the same histograms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort

from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track

BINS = 2048
SAMPLED = 65536
METHODS = ("minmax", "percentile", "entropy", "mse")

Window = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Histogram:
    """Values of one tensor: exact extremes and counts [2048] over equal bins between them."""

    low: float
    high: float
    counts: npt.NDArray[np.int64]

    def centres(self) -> npt.NDArray[np.float64]:
        """Middle of each bin."""
        width = (self.high - self.low) / len(self.counts)
        return np.asarray(self.low + width * (np.arange(len(self.counts)) + 0.5))


def session(
    model: onnx.ModelProto | str, threads: int = 1, plain: bool = False, dump: str = ""
) -> ort.InferenceSession:
    """A quiet CPU session; ``plain`` turns graph optimisation off, ``dump`` keeps the optimised graph."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    if plain:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if dump:
        options.optimized_model_filepath = dump
    source = model if isinstance(model, str) else model.SerializeToString()
    try:
        return ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own for each status
        raise EdgevoiceError(f"ONNX Runtime does not load the model: {error}") from error


def collect(
    model: onnx.ModelProto, tensors: Iterable[str], windows: Sequence[Window]
) -> dict[str, Histogram]:
    """Histograms of the named float tensors over ``windows`` (dicts of the model's inputs).

    Tensors that never change (a conditioning that is all zeros) have no range and are left out of the result.
    Raises EdgevoiceError for no windows, for NaN or infinity, and where an input or most tensors never
    change.
    """
    names = sorted(set(tensors))
    if not windows:
        raise EdgevoiceError("calibration got no windows: give it at least one sentence's stage inputs")
    inputs = [name for name in names if name in {entry.name for entry in model.graph.input}]
    watched = [name for name in names if name not in inputs]
    runner = session(with_outputs(model, watched))
    low = dict.fromkeys(names, np.inf)
    high = dict.fromkeys(names, -np.inf)
    for window in track(windows, "calibration: extremes"):
        for name, values in _values(runner, watched, inputs, window):
            low[name] = float(np.minimum(low[name], values.min()))  # unlike min(), keeps a NaN
            high[name] = float(np.maximum(high[name], values.max()))
    _check(low, high, inputs)
    inputs, watched = ([name for name in part if low[name] < high[name]] for part in (inputs, watched))
    counts = {name: np.zeros(BINS, np.int64) for name in inputs + watched}
    for window in track(windows, "calibration: histograms"):
        for name, values in _values(runner, watched, inputs, window):
            counts[name] += _count(values, low[name], high[name])
    return {name: Histogram(low[name], high[name], counted) for name, counted in counts.items()}


def with_outputs(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """A copy that also gives the named float tensors as outputs."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    present = {output.name for output in copy.graph.output}
    for name in names:
        if name not in present:
            copy.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return copy


def _values(
    runner: ort.InferenceSession, watched: list[str], inputs: list[str], window: Window
) -> Iterable[tuple[str, npt.NDArray[np.float32]]]:
    for name in inputs:
        yield name, np.ravel(np.asarray(window[name], np.float32))
    try:
        results = runner.run(watched, dict(window)) if watched else []
    except Exception as error:  # onnxruntime raises types of its own for each status
        raise EdgevoiceError(f"a calibration window does not fit the model's inputs: {error}") from error
    for name, values in zip(watched, results, strict=True):
        yield name, np.ravel(values)


def _check(low: dict[str, float], high: dict[str, float], inputs: Sequence[str]) -> None:
    for name, least in low.items():
        if not np.isfinite(least) or not np.isfinite(high[name]):
            raise EdgevoiceError(
                f"calibration met NaN or infinity in {name}: the data or the model is broken"
            )
    same = [name for name, least in low.items() if least == high[name]]
    dead = [name for name in same if name in inputs]
    if dead or 2 * len(same) > len(low):
        raise EdgevoiceError(
            f"{len(same)} of {len(low)} tensors never change during calibration (first {(dead or same)[0]}): "
            "the windows are silent or constant; calibrate with real sentences"
        )


def _count(values: npt.NDArray[np.float32], low: float, high: float) -> npt.NDArray[np.int64]:
    step = max(1, values.size // SAMPLED)
    place = ((values[::step] - low) * (BINS / (high - low))).astype(np.int64)
    return np.bincount(np.clip(place, 0, BINS - 1), minlength=BINS)


def bounds(
    histogram: Histogram, method: str, symmetric: bool, percentile: float = 99.9
) -> tuple[float, float]:
    """Lower and upper end of the range to quantise; 0 is always inside, symmetric ranges mirror."""
    if method not in METHODS:
        raise EdgevoiceError(f"unknown calibration method {method!r}: known are {', '.join(METHODS)}")
    low, high = histogram.low, histogram.high
    if method == "percentile":
        low, high = _percentile(histogram, percentile)
    elif method == "entropy":
        low, high = _entropy(histogram)
    elif method == "mse":
        low, high = _mse(histogram, symmetric)
    low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        return -max(-low, high), max(-low, high)
    return low, high


def _percentile(histogram: Histogram, percentile: float) -> tuple[float, float]:
    share = np.cumsum(histogram.counts) / histogram.counts.sum()
    cut = (1.0 - percentile / 100.0) / 2.0
    centres = histogram.centres()
    first, last = (int(np.searchsorted(share, at)) for at in (cut, 1.0 - cut))
    return float(centres[min(first, BINS - 1)]), float(centres[min(last, BINS - 1)])


def _magnitudes(histogram: Histogram) -> tuple[npt.NDArray[np.float64], float]:
    """Counts of magnitudes in 2048 bins from 0 to the largest one."""
    largest = max(abs(histogram.low), abs(histogram.high))
    place = np.minimum((np.abs(histogram.centres()) * (BINS / largest)).astype(np.int64), BINS - 1)
    return np.asarray(np.bincount(place, weights=histogram.counts, minlength=BINS), np.float64), largest


def _entropy(histogram: Histogram) -> tuple[float, float]:
    """The magnitude at which 128 levels lose least information (Migacz, 8-bit inference with TensorRT,
    2017)."""
    counts, largest = _magnitudes(histogram)
    cuts = list(range(128, BINS + 1, 16))
    best = cuts[int(np.argmin([_divergence(counts, cut) for cut in cuts]))] / BINS * largest
    return max(histogram.low, -best), min(histogram.high, best)


def _divergence(counts: npt.NDArray[np.float64], cut: int) -> float:
    """Kullback-Leibler divergence of the clipped histogram from its 128-level version."""
    clipped = counts[:cut].copy()
    clipped[-1] += counts[cut:].sum()
    level = np.minimum(np.arange(cut) * 128 // cut, 127)
    filled = counts[:cut] > 0
    sums = np.bincount(level, weights=counts[:cut], minlength=128)
    shares = np.bincount(level, weights=filled, minlength=128)
    coarse = np.where(filled, (sums / np.maximum(shares, 1.0))[level], 0.0)
    p, q = clipped / clipped.sum(), coarse / max(coarse.sum(), 1e-12)
    used = p > 0
    return float(np.sum(p[used] * np.log(p[used] / np.maximum(q[used], 1e-9))))


def _mse(histogram: Histogram, symmetric: bool) -> tuple[float, float]:
    """The clipping that gives the least squared error of rounding and clipping together, searched in 64
    steps."""
    centres, weights = histogram.centres(), histogram.counts / histogram.counts.sum()
    best, least = (histogram.low, histogram.high), np.inf
    for share in np.linspace(0.1, 1.0, 64):
        low, high = min(histogram.low * share, 0.0), max(histogram.high * share, 0.0)
        span = 2.0 * max(-low, high) if symmetric else high - low
        step = span / 255.0
        clipped = np.clip(centres, low, high)
        rounded = np.round(clipped / step) * step
        error = float(np.sum(weights * (centres - rounded) ** 2))
        if error < least:
            best, least = (low, high), error
    return best
