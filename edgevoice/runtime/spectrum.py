"""From a vocoder's spectrum to sound, and from F0 to the phase that drives a vocoder."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


@lru_cache(maxsize=4)
def _hann(n_fft: int) -> Float:
    steps = np.arange(n_fft) / n_fft
    return (0.5 - 0.5 * np.cos(2 * np.pi * steps)).astype(np.float32)


def margin(n_fft: int, hop: int) -> int:
    """Frames on each side whose windows reach into a frame's samples."""
    return -(-(n_fft - hop) // (2 * hop))


def overlap_add(spectrum: Float, hop: int) -> Float:
    """Inverse STFT with a periodic Hann window, "same" padding.

    spectrum: f32 [n_fft + 2, F], n_fft / 2 + 1 real rows and as many imaginary ones. Returns f32 [F * hop]:
    frame i is centred on sample (i + 1/2) * hop.
    """
    half = spectrum.shape[0] // 2
    n_fft, frames = 2 * (half - 1), spectrum.shape[1]
    complex_rows = spectrum[:half].T + 1j * spectrum[half:].T
    window = _hann(n_fft)
    pieces = np.fft.irfft(complex_rows, n_fft, axis=1).astype(np.float32) * window
    sound = np.zeros((frames - 1) * hop + n_fft, np.float32)
    weight = np.zeros_like(sound)
    for frame, piece in enumerate(pieces):
        sound[frame * hop : frame * hop + n_fft] += piece
        weight[frame * hop : frame * hop + n_fft] += window * window
    pad = (n_fft - hop) // 2
    kept = slice(pad, pad + frames * hop)
    return np.asarray(sound[kept] / np.maximum(weight[kept], 1e-8), np.float32)


def harmonic_phase(
    f0: Float, voicing: Float, start: float, harmonics: int, frame_rate: float
) -> tuple[Float, float]:
    """Sine and cosine of the first ``harmonics`` of F0 after each frame, silent where unvoiced.

    f0: f32 [F] in Hz; start: the phase in turns before the first frame. Returns f32 [2 * harmonics, F] and
    the phase after the last frame, the one number that streaming carries on.
    """
    advance = f0.astype(np.float64) / frame_rate
    ends = start + np.cumsum(advance)
    # A frame's own F0 counts whole, as in Kokoro's sine source: half a frame at 100 Hz would be 0.6 turns.
    turns = np.outer(np.arange(1, harmonics + 1), ends)
    waves = np.concatenate([np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)]) * voicing
    return waves.astype(np.float32), float(ends[-1] % 1.0) if len(ends) else start
