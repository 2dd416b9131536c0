from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.runtime.spectrum import harmonic_phase, margin, overlap_add

Float = npt.NDArray[np.float32]

SIZES = [(16, 4), (16, 8), (24, 6), (24, 4), (1024, 256), (1200, 300), (20, 5), (18, 3)]


def frames_of(sound: npt.NDArray[np.float64], n_fft: int, hop: int) -> npt.NDArray[np.float64]:
    """The windowed pieces whose centres lie at (i + 1/2) * hop, [F, n_fft]."""
    pad = (n_fft - hop) // 2
    padded = np.pad(sound, (pad, n_fft))
    window = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2  # Hann, written another way
    return np.stack([padded[at : at + n_fft] * window for at in range(0, len(sound), hop)])


def stft(sound: npt.NDArray[np.float64], n_fft: int, hop: int) -> Float:
    rows = np.fft.rfft(frames_of(sound, n_fft, hop), axis=1).T
    return np.concatenate([rows.real, rows.imag]).astype(np.float32)


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_the_inverse_of_a_direct_stft_is_the_sound(n_fft: int, hop: int) -> None:
    sound = np.random.default_rng(0).uniform(-1, 1, 37 * hop)
    back = overlap_add(stft(sound, n_fft, hop), hop)
    assert back.dtype == np.float32
    assert back.shape == sound.shape
    # The ends are covered by the last windows' flanks alone, which float32 cannot divide by exactly.
    np.testing.assert_allclose(back[hop:-hop], sound[hop:-hop], atol=2e-4)


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_any_spectrum_equals_the_least_squares_inverse_written_sample_by_sample(n_fft: int, hop: int) -> None:
    """A model's spectrum is the STFT of no sound: then the order of windowing and dividing shows."""
    frames, half = 5, n_fft // 2 + 1
    spectrum = np.random.default_rng(1).standard_normal((2 * half, frames)).astype(np.float32)
    window = np.sin(np.pi * np.arange(n_fft) / n_fft) ** 2
    top = np.zeros((frames + 2) * hop + 2 * n_fft)
    bottom = np.zeros_like(top)
    turns = 2 * np.pi * np.arange(n_fft) / n_fft
    for frame in range(frames):
        real, imaginary = spectrum[:half, frame].astype(float), spectrum[half:, frame].astype(float)
        piece = np.full(n_fft, real[0])
        for k in range(1, half - 1):
            piece += 2 * (real[k] * np.cos(k * turns) - imaginary[k] * np.sin(k * turns))
        piece += real[-1] * np.cos((half - 1) * turns)
        at = frame * hop + n_fft
        top[at : at + n_fft] += piece / n_fft * window
        bottom[at : at + n_fft] += window**2
    kept = slice(n_fft + (n_fft - hop) // 2, n_fft + (n_fft - hop) // 2 + frames * hop)
    wanted = top[kept] / np.maximum(bottom[kept], 1e-8)
    np.testing.assert_allclose(overlap_add(spectrum, hop), wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("n_fft", "hop"), SIZES)
def test_the_margin_is_enough_and_one_frame_less_is_not(n_fft: int, hop: int) -> None:
    half = n_fft // 2 + 1
    spectrum = np.random.default_rng(2).standard_normal((2 * half, 40)).astype(np.float32)
    whole = overlap_add(spectrum, hop)
    wanted = whole[15 * hop : 20 * hop]

    def cut(around: int) -> Float:
        piece = overlap_add(spectrum[:, 15 - around : 20 + around], hop)
        return piece[around * hop : (around + 5) * hop]

    enough = margin(n_fft, hop)
    np.testing.assert_allclose(cut(enough), wanted, atol=1e-5)
    if enough:
        assert np.abs(cut(enough - 1) - wanted).max() > 1e-3


@given(st.lists(st.integers(1, 12), min_size=1, max_size=8), st.integers(1, 5))
def test_harmonic_phase_goes_on_across_cuts(lengths: list[int], harmonics: int) -> None:
    frames = sum(lengths)
    rng = np.random.default_rng(frames)
    f0 = rng.uniform(60, 400, frames).astype(np.float32)
    voicing = rng.uniform(0, 1, frames).astype(np.float32)
    whole, end = harmonic_phase(f0, voicing, 0.25, harmonics, 86.13)
    turns, at, pieces = 0.25, 0, []
    for length in lengths:
        piece, turns = harmonic_phase(
            f0[at : at + length], voicing[at : at + length], turns, harmonics, 86.13
        )
        pieces.append(piece)
        at += length
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-6)
    assert abs((turns - end + 0.5) % 1 - 0.5) < 1e-9


def test_harmonic_phase_is_sine_and_cosine_of_the_running_turns() -> None:
    f0, voicing = np.full(50, 100.0, np.float32), np.ones(50, np.float32)
    voicing[20:30] = 0
    waves, end = harmonic_phase(f0, voicing, 0.0, 2, 80.0)
    assert waves.shape == (4, 50)
    turns = np.arange(1, 51) * 100 / 80
    for row, expected in enumerate(
        [wave(2 * np.pi * k * turns) for wave in (np.sin, np.cos) for k in (1, 2)]
    ):
        np.testing.assert_allclose(waves[row], expected * voicing, atol=1e-5)
    assert end == pytest.approx(50 * 100 / 80 % 1)


def test_no_frames_leave_the_phase_where_it_was() -> None:
    waves, end = harmonic_phase(np.zeros(0, np.float32), np.zeros(0, np.float32), 0.75, 3, 80.0)
    assert waves.shape == (6, 0)
    assert end == 0.75
