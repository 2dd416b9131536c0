"""The source's pulses and their spectrum: sums written out, cuts that are not heard, torch alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.runtime.source import pulses, shaped, source_spectrum
from edgevoice.runtime.spectrum import harmonic_phase, overlap_add

RATE, HOP, N_FFT = 24000, 300, 1200


@pytest.mark.parametrize("hertz", [41.0, 123.4, 400.0, 7000.0])
def test_pulses_are_the_sum_of_all_harmonics(hertz: float) -> None:
    train = pulses(np.full(20, hertz, np.float32), np.ones(20, np.float32), 0.3, HOP, RATE)
    assert (train.dtype, train.shape) == (np.float32, (HOP, 20))
    turns = 0.3 + np.arange(1, 20 * HOP + 1) * float(np.float32(hertz)) / RATE
    wanted = sum(np.cos(2 * np.pi * k * turns) for k in range(1, int(RATE / 2 / hertz) + 1))
    np.testing.assert_allclose(train.T.ravel(), wanted, atol=1e-3)


def test_a_whole_turn_is_no_division_by_zero() -> None:
    train = pulses(np.full(3, 80.0, np.float32), np.ones(3, np.float32), 0.0, HOP, RATE)
    assert np.isfinite(train).all()
    assert train[-1, 0] == pytest.approx(150)  # 80 Hz at 80 frames a second: each frame ends on a pulse


@pytest.mark.parametrize("hertz", [0.0, 5.0, -3.0])
def test_what_is_no_tone_is_silent_where_unvoiced_and_finite_where_not(hertz: float) -> None:
    f0 = np.full(4, hertz, np.float32)
    assert not pulses(f0, np.zeros(4, np.float32), 0.0, HOP, RATE).any()
    assert np.isfinite(pulses(f0, np.ones(4, np.float32), 0.0, HOP, RATE)).all()


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_pulses_go_on_across_cuts_with_the_phase(lengths: list[int]) -> None:
    frames = sum(lengths)
    rng = np.random.default_rng(frames)
    f0 = rng.uniform(60, 400, frames).astype(np.float32)
    voicing = rng.uniform(0, 1, frames).astype(np.float32)
    whole, at, turns, pieces = pulses(f0, voicing, 0.25, HOP, RATE), 0, 0.25, []
    for length in lengths:
        part = slice(at, at + length)
        pieces.append(pulses(f0[part], voicing[part], turns, HOP, RATE))
        _, turns = harmonic_phase(f0[part], voicing[part], turns, 1, RATE / HOP)
        at += length
    np.testing.assert_allclose(np.concatenate(pieces, axis=1), whole, atol=1e-2)


def test_a_harmonic_on_a_bin_is_of_size_one() -> None:
    train = pulses(np.full(12, 200.0, np.float32), np.ones(12, np.float32), 0.0, HOP, RATE)
    spectrum = source_spectrum(train, 0, 12, N_FFT)
    assert (spectrum.dtype, spectrum.shape) == (np.complex64, (N_FFT // 2 + 1, 12))
    steady = np.abs(spectrum[:, 3:9])
    np.testing.assert_allclose(steady[10:600:10], 1.0, atol=1e-2)
    np.testing.assert_allclose(steady[15:600:10], 0.0, atol=1e-2)


@pytest.mark.parametrize(("n_fft", "hop"), [(16, 4), (24, 4), (1200, 300), (20, 5), (18, 3)])
def test_a_part_is_the_whole_ones_part(n_fft: int, hop: int) -> None:
    train = np.random.default_rng(0).standard_normal((hop, 30)).astype(np.float32)
    whole = source_spectrum(train, 0, 30, n_fft)
    for left, right in ((0, 5), (3, 17), (25, 30), (0, 30)):
        np.testing.assert_allclose(
            source_spectrum(train, left, right, n_fft), whole[:, left:right], atol=1e-6
        )


def test_even_gains_give_the_source_back() -> None:
    f0 = np.linspace(90, 220, 60).astype(np.float32)
    train = pulses(f0, np.ones(60, np.float32), 0.0, HOP, RATE)
    source = source_spectrum(train, 0, 60, N_FFT)
    answer = np.zeros((2 * (N_FFT + 2), 60), np.float32)
    answer[: N_FFT // 2 + 1] = N_FFT / 4
    back = overlap_add(shaped(answer, source), HOP)
    np.testing.assert_allclose(back[3 * HOP : -3 * HOP], train.T.ravel()[3 * HOP : -3 * HOP], atol=2e-2)


def test_torch_shapes_it_alike() -> None:
    torch = pytest.importorskip("torch")
    from compress.students import vocoder

    rng = np.random.default_rng(1)
    answer = rng.standard_normal((4 * 9, 7)).astype(np.float32)
    source = (rng.standard_normal((9, 7)) + 1j * rng.standard_normal((9, 7))).astype(np.complex64)
    pair = torch.from_numpy(np.concatenate([source.real, source.imag]))[None]
    found = vocoder.shaped(torch.from_numpy(answer)[None], pair)[0].numpy()
    np.testing.assert_allclose(found, shaped(answer, source), atol=1e-5)
