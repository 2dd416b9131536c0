"""Acoustic students: of a Piper voice's normalising flow, and of Kokoro's predictors and decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compress.students.blocks import Trunk
from compress.students.vocoder import TYPICAL_F0


@dataclass(frozen=True)
class AcousticConfig:
    latents: int
    width: int = 256
    expansion: float = 2.0
    input_kernel: int = 5
    kernels: tuple[int, ...] = (7, 7, 7, 7)
    speaker: int = 0


class Acoustic(nn.Module):
    """frames f32 [B,2M,F] (mean over log-deviation), noise f32 [B,M,F], scaled, to latents f32 [B,M,F].

    It samples the prior exactly as the teacher does; how the flow then bends the sample is learnt.
    """

    def __init__(self, config: AcousticConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(
            2 * config.latents,
            config.width,
            config.kernels,
            config.expansion,
            config.input_kernel,
            config.speaker,
        )
        self.head = nn.Linear(config.width, 2 * config.latents)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.context = self.trunk.context

    def forward(self, frames: Tensor, noise: Tensor, speaker: Tensor | None = None) -> Tensor:
        mean, log_deviation = torch.split(frames, self.config.latents, dim=1)
        sample = mean + noise * torch.exp(log_deviation)
        y: Tensor = self.head(self.trunk(torch.cat([sample, mean], dim=1), speaker)).transpose(1, 2)
        gain, shift = torch.split(y, self.config.latents, dim=1)
        latents: Tensor = sample * (1 + gain) + shift
        return latents


@dataclass(frozen=True)
class ContourConfig:
    hidden: int
    latents: int
    speaker: int
    width: int = 256
    expansion: float = 2.0
    input_kernel: int = 5
    kernels: tuple[int, ...] = (7, 7, 7, 7, 7, 7)


class ContourAcoustic(nn.Module):
    """frames f32 [B,H,F], speaker f32 [B,S] to latents f32 [B,M+2,F].

    The last two channels are F0 in Hz and voicing. Nothing is sampled, as nothing is in its teacher.
    """

    def __init__(self, config: ContourConfig) -> None:
        super().__init__()
        self.config = config
        self.trunk = Trunk(
            config.hidden,
            config.width,
            config.kernels,
            config.expansion,
            config.input_kernel,
            config.speaker,
        )
        self.head = nn.Linear(config.width, config.latents + 2)
        self.context = self.trunk.context

    def forward(self, frames: Tensor, speaker: Tensor) -> Tensor:
        y: Tensor = self.head(self.trunk(frames, speaker)).transpose(1, 2)
        f0 = torch.exp(torch.clamp(y[:, -2:-1], -1.0, 2.0)) * TYPICAL_F0
        return torch.cat([y[:, :-2], f0, torch.sigmoid(y[:, -1:])], dim=1)
