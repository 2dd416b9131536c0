"""A voice's own HiFi-GAN in torch, of whatever sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class HiFiGanConfig:
    """``channels``: after the input convolution, then after each upsampling by ``rates``.

    Each stage has a branch for each of ``branch_kernels``, with as many of the ``dilations`` each, in turn.
    ``inner``: channels between the two convolutions of a residual, branch by branch through all stages; empty
    where a residual has but one. ``slope``, ``last_slope``: of the leaky ReLUs.
    """

    latents: int
    channels: tuple[int, ...]
    rates: tuple[int, ...]
    kernels: tuple[int, ...]
    branch_kernels: tuple[int, ...]
    dilations: tuple[int, ...]
    inner: tuple[int, ...] = ()
    input_kernel: int = 7
    output_kernel: int = 7
    output_bias: bool = False
    slope: float = 0.1
    last_slope: float = 0.01
    speaker: int = 0


class Residual(nn.Module):
    """f32 [B,C,L] and what one dilated convolution, or two, make of it."""

    def __init__(self, channels: int, kernel: int, dilation: int, inner: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        around = dilation * (kernel // 2)
        self.dilated = nn.Conv1d(channels, inner or channels, kernel, dilation=dilation, padding=around)
        self.plain = nn.Conv1d(inner, channels, kernel, padding=kernel // 2) if inner else None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.dilated(F.leaky_relu(x, self.slope))
        if self.plain is not None:
            y = self.plain(F.leaky_relu(y, self.slope))
        return x + y


class HiFiGan(nn.Module):
    """latents f32 [B,M,F] (, speaker [B,S]) to waveform f32 [B,F*hop] in -1..1."""

    def __init__(self, config: HiFiGanConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.input = nn.Conv1d(
            config.latents, channels[0], config.input_kernel, padding=config.input_kernel // 2
        )
        self.speaker = nn.Conv1d(config.speaker, channels[0], 1) if config.speaker else None
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(before, after, kernel, rate, padding=(kernel - rate) // 2)
            for before, after, kernel, rate in zip(
                channels, channels[1:], config.kernels, config.rates, strict=False
            )
        )
        inner = iter(config.inner or [0] * (len(config.rates) * len(config.dilations)))
        self.stages = nn.ModuleList(_stage(config, width, inner) for width in channels[1:])
        self.output = nn.Conv1d(
            channels[-1], 1, config.output_kernel, padding=config.output_kernel // 2, bias=config.output_bias
        )

    @property
    def residuals(self) -> list[Residual]:
        return [part for part in self.modules() if isinstance(part, Residual)]

    @property
    def widened(self) -> list[nn.Module]:
        """Layers whose output channels can be pruned; all that shares channels with them follows."""
        inner = [residual.dilated for residual in self.residuals if residual.plain is not None]
        return [self.input, *self.ups, *inner]

    def forward(self, latents: Tensor, speaker: Tensor | None = None) -> Tensor:
        x = self.input(latents)
        if self.speaker is not None and speaker is not None:
            x = x + self.speaker(speaker[:, :, None])
        for up, stage in zip(self.ups, self.stages, strict=True):
            x = up(F.leaky_relu(x, self.config.slope))
            branches = [branch(x) for branch in stage.children()]
            x = torch.div(sum(branches[1:], branches[0]), len(branches))
        return torch.tanh(self.output(F.leaky_relu(x, self.config.last_slope))).squeeze(1)


def _stage(config: HiFiGanConfig, width: int, inner: Iterator[int]) -> nn.ModuleList:
    """A stage's branches, each of the same number of residuals."""
    each = len(config.dilations) // len(config.branch_kernels)
    return nn.ModuleList(
        nn.Sequential(
            *(
                Residual(width, kernel, dilation, next(inner), config.slope)
                for dilation in config.dilations[number * each : (number + 1) * each]
            )
        )
        for number, kernel in enumerate(config.branch_kernels)
    )
