"""Distances between two waveforms in the short-time spectrum: numpy only, so every machine agrees.

Waveforms are one-dimensional float arrays in [-1, 1]. Both must be of the same utterance at the same
durations: a distance between recordings that drift in time says nothing about quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgevoice.errors import EdgevoiceError

Floats = npt.NDArray[np.float64]

FLOOR = 1e-5
RESOLUTIONS = ((512, 128), (1024, 256), (2048, 512))


def wave(samples: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """One-dimensional float64 view of ``samples``; leading axes of length one are dropped."""
    array = np.asarray(samples, dtype=np.float64)
    flat = array.reshape(-1)
    if array.size != max(array.shape, default=0):
        raise EdgevoiceError(f"a waveform has one channel, this one has the shape {array.shape}")
    return flat


def same_length(
    first: npt.ArrayLike, second: npt.ArrayLike, slack: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Both waveforms cut to the shorter one; more than ``slack`` samples apart is an error."""
    a, b = wave(first), wave(second)
    if abs(a.size - b.size) > slack:
        raise EdgevoiceError(
            f"the waveforms have {a.size} and {b.size} samples: compare them at the same durations and speed"
        )
    size = min(a.size, b.size)
    if size == 0:
        raise EdgevoiceError("a waveform without samples cannot be compared")
    return a[:size], b[:size]


@lru_cache(maxsize=8)
def mel_filters(rate: int, n_fft: int, bands: int, low: float = 0.0, high: float = 0.0) -> Floats:
    """Triangular filters [bands, n_fft // 2 + 1] on Slaney's mel scale, each of unit area.

    Slaney, Auditory Toolbox (1998): linear below 1 kHz, logarithmic above.
    """
    ends = _hertz_to_mel(np.array([low, high or rate / 2.0]))
    edges = _mel_to_hertz(np.linspace(ends[0], ends[1], bands + 2))
    bins = np.fft.rfftfreq(n_fft, 1.0 / rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None])


def _hertz_to_mel(hertz: Floats) -> Floats:
    linear = hertz * 3.0 / 200.0
    curved = 15.0 + 27.0 * np.log(np.maximum(hertz, 1e-9) / 1000.0) / np.log(6.4)
    return np.where(hertz < 1000.0, linear, curved)


def _mel_to_hertz(mel: Floats) -> Floats:
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp(np.log(6.4) * (mel - 15.0) / 27.0))


def frames(samples: Floats, size: int, hop: int) -> Floats:
    """Centred frames [count, size]: zeros are added on both sides."""
    padded = np.pad(samples, (size // 2, size // 2))
    if padded.size < size:
        padded = np.pad(padded, (0, size - padded.size))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def magnitudes(samples: npt.ArrayLike, n_fft: int, hop: int) -> Floats:
    """Magnitudes [frames, n_fft // 2 + 1] of a Hann-windowed, centred Fourier transform."""
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)
    return np.abs(np.fft.rfft(frames(wave(samples), n_fft, hop) * window, axis=1))


def log_mel(
    samples: npt.ArrayLike, rate: int, bands: int = 80, n_fft: int = 1024, hop: int = 256
) -> npt.NDArray[np.float64]:
    """Natural logarithm of mel magnitudes [frames, bands], floored at 1e-5."""
    mel = magnitudes(samples, n_fft, hop) @ mel_filters(rate, n_fft, bands).T
    return np.asarray(np.log(np.maximum(mel, FLOOR)))


def log_mel_l1(reference: npt.ArrayLike, candidate: npt.ArrayLike, rate: int) -> float:
    """Mean absolute difference of the log-mel spectra, in nepers: 0 is equal, 0.1 is about one decibel."""
    a, b = same_length(reference, candidate, slack=256)
    return float(np.mean(np.abs(log_mel(a, rate) - log_mel(b, rate))))


def mean_log_mel_l1(
    reference: Sequence[npt.ArrayLike], candidate: Sequence[npt.ArrayLike], rate: int
) -> float:
    """Mean of `log_mel_l1` over sentences."""
    return float(np.mean([log_mel_l1(a, b, rate) for a, b in zip(reference, candidate, strict=True)]))


def stft_distance(reference: npt.ArrayLike, candidate: npt.ArrayLike) -> float:
    """Multi-resolution STFT distance: spectral convergence plus L1 of log magnitudes, mean of three sizes.

    Yamamoto et al., Parallel WaveGAN (arXiv 1910.11480).
    """
    a, b = same_length(reference, candidate, slack=256)
    return float(np.mean([_one_resolution(a, b, size, hop) for size, hop in RESOLUTIONS]))


def _one_resolution(a: Floats, b: Floats, n_fft: int, hop: int) -> float:
    first, second = magnitudes(a, n_fft, hop), magnitudes(b, n_fft, hop)
    convergence = np.linalg.norm(first - second) / max(float(np.linalg.norm(first)), FLOOR)
    logs = np.abs(np.log(np.maximum(first, FLOOR)) - np.log(np.maximum(second, FLOOR)))
    return float(convergence + np.mean(logs))


def resample(samples: npt.ArrayLike, rate: int, wanted: int) -> npt.NDArray[np.float64]:
    """``samples`` at another rate, by a windowed-sinc low pass (64 zero crossings a side, Kaiser 9).

    Only for the measures that hear 16 kHz: it favours exactness over speed.
    """
    source = wave(samples)
    if rate == wanted or source.size == 0:
        return source
    divisor = int(np.gcd(rate, wanted))
    up, down = wanted // divisor, rate // divisor
    phases = _sinc_phases(up, down)
    width = phases.shape[1]
    count = -(-source.size * up // down)
    position = np.arange(count) * down
    padded = np.pad(source, (width // 2, width))
    start = position // up
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    return np.asarray(np.einsum("ij,ij->i", windows[start], phases[position % up]))


@lru_cache(maxsize=8)
def _sinc_phases(up: int, down: int) -> Floats:
    """Filter taps [up, width], one row for each position between two source samples."""
    cutoff = min(1.0, up / down)
    half = int(np.ceil(64 / cutoff))
    offsets = np.arange(-half, half + 1)[None, :] - (np.arange(up) / up)[:, None]
    window = np.i0(9.0 * np.sqrt(np.maximum(0.0, 1.0 - (offsets / (half + 1)) ** 2))) / np.i0(9.0)
    return np.asarray(cutoff * np.sinc(cutoff * offsets) * window)
