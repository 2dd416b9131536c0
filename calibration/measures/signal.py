"""What is wrong with a waveform on its own: clipping, silence, offsets, numbers that are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.measures.spectral import wave

CLIP_LEVEL = 0.999
SILENT_LEVEL = 10.0 ** (-60.0 / 20.0)
WINDOW_SECONDS = 0.02

MOST_SILENT, MOST_CLIPPED, MOST_OFFSET = 0.95, 0.001, 0.02


@dataclass(frozen=True)
class SignalReport:
    """Facts about one waveform. Shares run from 0 to 1."""

    seconds: float
    peak: float
    """Largest magnitude, full scale is 1."""
    rms_db: float
    """Level of the whole waveform in dBFS; -inf for silence."""
    clipped: float
    """Share of samples at or above 0.999."""
    silent: float
    """Share of 20 ms windows below -60 dBFS."""
    offset: float
    """Mean of the samples: a healthy voice stays near 0."""
    finite: bool

    def kinds(self) -> dict[str, str]:
        """Reasons to distrust the waveform, by kind; empty when there are none."""
        found = {}
        if not self.finite:
            found["nan"] = "contains NaN or infinity"
        if self.seconds == 0.0:
            found["empty"] = "has no samples"
        elif self.silent > MOST_SILENT:
            found["silent"] = f"is silent for {self.silent:.0%} of its length"
        if self.clipped > MOST_CLIPPED:
            found["clips"] = f"clips in {self.clipped:.2%} of its samples"
        if abs(self.offset) > MOST_OFFSET:
            found["offset"] = f"has an offset of {self.offset:+.3f}"
        return found

    def problems(self) -> list[str]:
        """The reasons alone."""
        return list(self.kinds().values())

    def worse_than(self, reference: SignalReport) -> list[str]:
        """What is wrong here and not in ``reference``, or here by more than what is bearable on its own."""
        risen = {
            "clips": self.clipped - reference.clipped > MOST_CLIPPED,
            "offset": abs(self.offset - reference.offset) > MOST_OFFSET,
        }
        had = reference.kinds()
        return [told for kind, told in self.kinds().items() if kind not in had or risen.get(kind, False)]


def inspect(samples: npt.ArrayLike, rate: int) -> SignalReport:
    """Measure one waveform at ``rate`` samples a second."""
    raw = wave(samples)
    finite = bool(np.isfinite(raw).all())
    data = np.nan_to_num(raw, nan=0.0, posinf=1.0, neginf=-1.0)
    if data.size == 0:
        return SignalReport(0.0, 0.0, float("-inf"), 0.0, 1.0, 0.0, finite)
    window = max(1, int(rate * WINDOW_SECONDS))
    quiet = _quiet_windows(data, window)
    energy = float(np.mean(data**2))
    return SignalReport(
        seconds=data.size / rate,
        peak=float(np.max(np.abs(data))),
        rms_db=10.0 * float(np.log10(energy)) if energy > 0.0 else float("-inf"),
        clipped=float(np.mean(np.abs(data) >= CLIP_LEVEL)),
        silent=float(np.mean(quiet)),
        offset=float(np.mean(data)),
        finite=finite,
    )


def _quiet_windows(data: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.bool_]:
    padded = np.pad(data, (0, -data.size % window)).reshape(-1, window)
    return np.asarray(np.sqrt(np.mean(padded**2, axis=1)) < SILENT_LEVEL)
