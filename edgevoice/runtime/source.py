"""The source of a voiced sound: pulses that follow F0, and their spectrum for a vocoder to shape.

A vocoder that has to make the phase of every harmonic itself spends most of its training on that; with the
source's own spectrum it learns what throat and mouth do to it, which changes slowly in time and frequency.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgevoice.runtime.spectrum import hann, margin

Float = npt.NDArray[np.float32]

LOWEST = 30.0
"""Hz: below it there is no voice, and the harmonics of so low a tone would be too many to sum exactly."""

NEAR = 1e-5


def pulses(f0: Float, voicing: Float, start: float, hop: int, sample_rate: int) -> Float:
    """All harmonics of F0 below half the sample rate, cosines of one amplitude, times voicing.

    f0: f32 [F] in Hz; start: the phase in turns before the first frame, as in `harmonic_phase`. Returns f32
    [hop, F], frame by frame; a pulse train of sum 0 whose every harmonic has the amplitude 1.
    """
    held = f0.astype(np.float64)
    advance = held * hop / sample_rate
    before = start + np.cumsum(advance) - advance
    turns = before + np.outer(np.arange(1, hop + 1) / hop, advance)
    # Reduced before they are rounded: in float32 sines take a third of the time.
    angle = (np.pi * (turns - np.rint(turns))).astype(np.float32)
    odd = (2 * np.floor(0.5 * sample_rate / np.maximum(held, LOWEST)) + 1).astype(np.float32)
    # The sum of cosines in closed form (Dirichlet's kernel); at a whole turn it is its own limit.
    below = np.sin(angle)
    near = np.abs(below) < NEAR
    summed = np.sin(odd * angle) / np.where(near, np.float32(1), below)
    train = np.where(near, odd, summed) - 1
    return np.asarray(0.5 * train * voicing, np.float32)


def source_spectrum(train: Float, left: int, right: int, n_fft: int) -> npt.NDArray[np.complex64]:
    """The STFT of frames ``left`` to ``right`` of a pulse train [hop, F], frames as in `overlap_add`.

    A Hann window; beyond the train's ends there is silence. complex64 [n_fft / 2 + 1, right - left], of size
    1 where a harmonic of amplitude 1 falls on a bin.
    """
    hop = train.shape[0]
    reach = margin(n_fft, hop)
    begin, end = max(0, left - reach), min(train.shape[1], right + reach)
    sound = np.zeros(((right - left + 2 * reach) * hop), np.float32)
    at = (begin - left + reach) * hop
    known = train[:, begin:end].T.ravel()
    sound[at : at + len(known)] = known
    first = reach * hop - (n_fft - hop) // 2
    pieces = np.lib.stride_tricks.sliding_window_view(sound, n_fft)[first::hop][: right - left]
    found = np.fft.rfft(pieces * (hann(n_fft) * np.float32(4 / n_fft)), axis=1)
    spectrum: npt.NDArray[np.complex64] = found.T.astype(np.complex64)
    return spectrum


def shaped(answer: Float, source: npt.NDArray[np.complex64]) -> Float:
    """A vocoder's answer [4 * bins, F], gains of the source and what is added to it, as a spectrum.

    Both are real parts, then imaginary ones. Returns f32 [2 * bins, F], as `overlap_add` takes it.
    """
    gain_real, gain_imaginary, real, imaginary = np.split(answer, 4)
    return np.concatenate(
        [
            real + gain_real * source.real - gain_imaginary * source.imag,
            imaginary + gain_real * source.imag + gain_imaginary * source.real,
        ]
    )
