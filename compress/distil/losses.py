"""How far a student's sound is from the teacher's, sample by sample; each loss is a mean over the items."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

FLOOR = 1e-4


def stft(wave: Tensor, size: int) -> Tensor:
    """Complex STFT [B,size/2+1,L] of f32 [B,N], Hann window, a quarter of ``size`` apart."""
    window = _hann(size).to(wave.device)
    result: Tensor = torch.stft(wave, size, size // 4, size, window, return_complex=True)
    return result


@lru_cache
def _hann(size: int) -> Tensor:
    return torch.hann_window(size)


@lru_cache
def mel_bank(sample_rate: int, size: int, bands: int) -> Tensor:
    """Triangular mel filters [bands, size/2+1] on the HTK scale, each of area one."""
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    bins = torch.linspace(0, sample_rate / 2, size // 2 + 1)
    rise = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    bank = torch.minimum(rise, fall).clamp(min=0)
    return bank / bank.sum(1, keepdim=True).clamp(min=FLOOR)


def spectral(student: Tensor, teacher: Tensor, size: int, sample_rate: int) -> dict[str, Tensor]:
    """The terms at one STFT size, for waveforms f32 [B,N].

    ``magnitude``: L1 of log magnitudes; ``convergence``: relative Frobenius distance of magnitudes;
    ``complex``: L1 of the complex difference over the mean magnitude, which teaches phase; ``mel``: L1 of log
    mels.
    """
    ours, theirs = stft(student, size), stft(teacher, size)
    ours_size = torch.sqrt(ours.real**2 + ours.imag**2 + FLOOR**2)
    theirs_size = torch.sqrt(theirs.real**2 + theirs.imag**2 + FLOOR**2)
    difference = ours - theirs
    distance = torch.sqrt(difference.real**2 + difference.imag**2 + FLOOR**2)
    bank = mel_bank(sample_rate, size, _bands(size)).to(student.device)
    mel = torch.log(bank @ ours_size + FLOOR) - torch.log(bank @ theirs_size + FLOOR)
    gap, loud = ours_size - theirs_size, theirs_size
    return {
        "magnitude": (torch.log(ours_size + FLOOR * 10) - torch.log(theirs_size + FLOOR * 10)).abs().mean(),
        "convergence": (gap.flatten(1).norm(dim=1) / loud.flatten(1).norm(dim=1).clamp(min=1e-2)).mean(),
        "complex": (distance.flatten(1).mean(1) / loud.flatten(1).mean(1).clamp(min=1e-3)).mean(),
        "mel": mel.abs().mean(),
    }


def _bands(size: int) -> int:
    """Bands that each hold at least one bin at this size."""
    return {256: 20, 512: 40, 1024: 80, 2048: 80}.get(size, max(5, min(80, size // 13)))
