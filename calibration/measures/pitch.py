"""Fundamental frequency and voicing by YIN (de Cheveigne and Kawahara, 2002), in numpy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.measures.spectral import frames, same_length, wave

FLOOR_HZ = 60.0
CEILING_HZ = 500.0
HOP_SECONDS = 0.01
THRESHOLD = 0.15
VOICED = 0.3
"""Looser than the lag's threshold: a voice with a creak has few dips below 0.15."""
QUIET = 1e-3


@dataclass(frozen=True)
class PitchError:
    """How far a candidate's melody is from the reference's."""

    cents: float
    """Median absolute difference over the frames that both call voiced; nan without any."""
    voicing: float
    """Share of frames that one calls voiced and the other not."""
    voiced: float
    """Share of the reference's frames that are voiced."""


def fundamental(samples: npt.ArrayLike, rate: int) -> npt.NDArray[np.float64]:
    """Hertz for each 10 ms frame, 0 where the frame is unvoiced."""
    data = wave(samples)
    longest, shortest = int(rate / FLOOR_HZ), int(rate / CEILING_HZ)
    window = 2 * longest
    blocks = frames(data, window + longest, max(1, int(rate * HOP_SECONDS)))
    normal = _normalised_difference(blocks, window, longest)
    lag, depth = _first_dip(normal, shortest)
    loud = np.sqrt(np.mean(blocks**2, axis=1)) > QUIET
    voiced = loud & (depth < VOICED)
    return np.where(voiced, rate / np.maximum(lag, 1.0), 0.0)


def _normalised_difference(
    blocks: npt.NDArray[np.float64], window: int, longest: int
) -> npt.NDArray[np.float64]:
    """Cumulative-mean-normalised difference [frames, longest] by one FFT correlation a frame."""
    head = blocks[:, :window]
    size = 1 << int(blocks.shape[1] + window - 1).bit_length()
    spectrum = np.conj(np.fft.rfft(head, size, axis=1)) * np.fft.rfft(blocks, size, axis=1)
    correlation = np.fft.irfft(spectrum, size, axis=1)[:, : longest + 1]
    power = np.cumsum(np.pad(blocks**2, ((0, 0), (1, 0))), axis=1)
    energy = power[:, window : window + longest + 1] - power[:, : longest + 1]
    difference = np.maximum(0.0, energy[:, :1] + energy - 2.0 * correlation)[:, 1:]
    running = np.cumsum(difference, axis=1) / np.arange(1, longest + 1)
    return np.asarray(difference / np.maximum(running, 1e-12))


def _first_dip(
    normal: npt.NDArray[np.float64], shortest: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Lag in samples (refined by a parabola) and depth of the first dip below the threshold, else the
    deepest."""
    area = normal[:, shortest - 1 :]
    inner = area[:, 1:-1]
    dips = (inner < area[:, :-2]) & (inner <= area[:, 2:]) & (inner < THRESHOLD)
    index = np.where(dips.any(axis=1), np.argmax(dips, axis=1), np.argmin(inner, axis=1)) + 1
    rows = np.arange(area.shape[0])
    left, middle, right = area[rows, index - 1], area[rows, index], area[rows, index + 1]
    bend = left - 2.0 * middle + right
    shift = np.where(np.abs(bend) > 1e-12, 0.5 * (left - right) / np.where(bend == 0.0, 1.0, bend), 0.0)
    return index + shortest + np.clip(shift, -0.5, 0.5), middle


def pitch_error(reference: npt.ArrayLike, candidate: npt.ArrayLike, rate: int) -> PitchError:
    """Compare two renderings of one utterance at the same durations."""
    a, b = same_length(reference, candidate, slack=256)
    first, second = fundamental(a, rate), fundamental(b, rate)
    both = (first > 0.0) & (second > 0.0)
    cents = np.abs(1200.0 * np.log2(second[both] / first[both])) if both.any() else np.array([np.nan])
    return PitchError(
        cents=float(np.median(cents)),
        voicing=float(np.mean((first > 0.0) != (second > 0.0))),
        voiced=float(np.mean(first > 0.0)),
    )
