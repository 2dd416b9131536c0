"""From a vocoder's spectrum to sound, and from F0 to the phase that drives a vocoder."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


@lru_cache(maxsize=4)
def hann(n_fft: int) -> Float:
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
    bins = np.empty((frames, half), np.complex64)
    bins.real, bins.imag = spectrum[:half].T, spectrum[half:].T
    pieces = np.fft.irfft(bins, n_fft, axis=1)
    pieces *= hann(n_fft)
    pad = (n_fft - hop) // 2
    kept = slice(pad, pad + frames * hop)
    return _add(pieces, hop)[kept] * _gain(n_fft, hop, frames)[kept]


def _add(pieces: npt.NDArray[np.floating], hop: int) -> Float:
    """Pieces [F, n_fft], each ``hop`` samples after the one before, summed.

    Part by part of all pieces at once: a loop over frames took a third of a small vocoder's time.
    """
    frames, n_fft = pieces.shape
    parts = -(-n_fft // hop)
    total = np.zeros((frames + parts - 1, hop), np.float32)
    for part in range(parts):
        piece = pieces[:, part * hop : (part + 1) * hop]
        total[part : part + frames, : piece.shape[1]] += piece
    return total.ravel()


@lru_cache(maxsize=8)
def _gain(n_fft: int, hop: int, frames: int) -> Float:
    """What undoes the windows' sum; an utterance has few lengths of chunks."""
    weight = _add(np.broadcast_to(hann(n_fft) ** 2, (frames, n_fft)), hop)
    return np.asarray(1 / np.maximum(weight, 1e-8), np.float32)


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
