"""The acoustic student of a Piper voice: what the normalising flow did, as one plain network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compress.students.blocks import Trunk


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
        mean, log_deviation = frames.chunk(2, dim=1)
        sample = mean + noise * torch.exp(log_deviation)
        y: Tensor = self.head(self.trunk(torch.cat([sample, mean], dim=1), speaker)).transpose(1, 2)
        gain, shift = y.chunk(2, dim=1)
        latents: Tensor = sample * (1 + gain) + shift
        return latents
