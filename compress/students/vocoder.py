"""The vocoder student: ConvNeXt blocks at frame rate and an inverse-STFT head."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compress.students.blocks import Trunk

LOUDEST = 7.0
"""The largest log magnitude: a 1,024-point Hann STFT of samples in -1..1 stays below 512, log 6.2."""


@dataclass(frozen=True)
class VocoderConfig:
    """Each frame of the result depends on ``input_kernel // 2 + sum(kernel // 2)`` frames to each side.

    ``phase``: channels of the harmonic phase, twice the harmonics; then the latents' last two channels are F0
    in Hz and voicing. ``source``: the answer shapes a source's spectrum, see `edgevoice.runtime.source`.
    """

    latents: int
    hop: int
    n_fft: int
    width: int = 256
    expansion: float = 3.0
    input_kernel: int = 5
    kernels: tuple[int, ...] = (5, 5, 5, 5, 3, 3, 3, 3)
    phase: int = 0
    speaker: int = 0
    cartesian: bool = False
    source: bool = False


TYPICAL_F0 = 200.0


class Vocoder(nn.Module):
    """latents f32 [B,M,F] (, phase [B,2k,F]) (, speaker [B,S]) to spectrum f32 [B,n_fft+2,F].

    The spectrum's first half are real parts, the second imaginary ones, of a Hann-windowed STFT.
    ``cartesian`` answers with both directly; otherwise with magnitude and angle, from which they are made.
    With a ``source`` the same for gains of its spectrum comes before, [B,2*(n_fft+2),F] in all.
    """

    scale: Tensor

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(
            config.latents + config.phase,
            config.width,
            config.kernels,
            config.expansion,
            config.input_kernel,
            config.speaker,
        )
        self.head = nn.Linear(config.width, (1 + config.source) * (config.n_fft + 2))
        self.context = self.trunk.context
        scale = torch.ones(config.latents, 1)
        if config.phase:
            scale[-2] = 1 / TYPICAL_F0
        self.register_buffer("scale", scale, persistent=False)

    def forward(self, latents: Tensor, phase: Tensor | None = None, speaker: Tensor | None = None) -> Tensor:
        x = latents if phase is None else torch.cat([latents * self.scale, phase], dim=1)
        y: Tensor = self.head(self.trunk(x, speaker)).transpose(1, 2)
        if self.config.cartesian:
            return y
        bins = self.config.n_fft // 2 + 1
        if self.config.source:
            return torch.cat([_polar(y[:, : 2 * bins], bins), _polar(y[:, 2 * bins :], bins)], dim=1)
        return _polar(y, bins)


def _polar(y: Tensor, half: int) -> Tensor:
    """Log magnitudes and angles [B,2*half,F] to real and imaginary parts."""
    magnitude = torch.exp(torch.clamp(y[:, :half], max=LOUDEST))
    angle = y[:, half:]
    return torch.cat([magnitude * torch.cos(angle), magnitude * torch.sin(angle)], dim=1)


def shaped(answer: Tensor, source: Tensor) -> Tensor:
    """`edgevoice.runtime.source.shaped` for training; ``source`` f32 [B,n_fft+2,F], real then imaginary."""
    gain_real, gain_imaginary, real, imaginary = answer.chunk(4, dim=1)
    wave_real, wave_imaginary = source.chunk(2, dim=1)
    return torch.cat(
        [
            real + gain_real * wave_real - gain_imaginary * wave_imaginary,
            imaginary + gain_real * wave_imaginary + gain_imaginary * wave_real,
        ],
        dim=1,
    )


class OverlapAdd(nn.Module):
    """spectrum f32 [B,n_fft+2,F] to waveform f32 [B,F*hop]: what the host does, for training.

    Periodic Hann window, "same" padding: (n_fft - hop) / 2 samples are cut at each end, and the sum is
    divided by the sum of the squared windows that really overlap there.
    """

    window: Tensor

    def __init__(self, n_fft: int, hop: int) -> None:
        super().__init__()
        self.n_fft, self.hop = n_fft, hop
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)

    def forward(self, spectrum: Tensor) -> Tensor:
        real, imaginary = spectrum.chunk(2, dim=1)
        frames = torch.fft.irfft(torch.complex(real, imaginary), n=self.n_fft, dim=1) * self.window[:, None]
        squares = (self.window**2)[None, :, None].expand(1, -1, frames.shape[2])
        return self._fold(frames) / self._fold(squares)

    def _fold(self, frames: Tensor) -> Tensor:
        count = frames.shape[2]
        length = (count - 1) * self.hop + self.n_fft
        folded = nn.functional.fold(frames, (1, length), (1, self.n_fft), stride=(1, self.hop))
        cut = (self.n_fft - self.hop) // 2
        return folded[:, 0, 0, cut : cut + count * self.hop]
