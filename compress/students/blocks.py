"""What all students are built of: ConvNeXt blocks over time, nearly all of their work matrix products."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm, two matrix products, layer scale, residual; f32 [B,L,C] to the same.

    The input of length L is padded with zeros at both ends, so it sees ``kernel // 2`` steps to each side.
    """

    def __init__(self, width: int, kernel: int, expansion: float, scale: float = 0.3, condition: int = 0) -> None:
        super().__init__()
        hidden = int(width * expansion)
        self.depthwise = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.full((width,), scale))
        self.condition = nn.Linear(condition, 2 * width) if condition else None
        if self.condition is not None:
            nn.init.zeros_(self.condition.weight)
            nn.init.zeros_(self.condition.bias)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """``condition`` f32 [B,S], the same for all steps, scales and shifts what the norm gives."""
        y = self.norm(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        if self.condition is not None and condition is not None:
            gain, shift = self.condition(condition)[:, None].chunk(2, dim=-1)
            y = y * (1 + gain) + shift
        y = self.narrow(nn.functional.gelu(self.widen(y)))
        return x + self.scale * y


class Trunk(nn.Module):
    """An input convolution, blocks, and a last norm; f32 [B,channels,L] to [B,L,width]."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernels: tuple[int, ...],
        expansion: float,
        input_kernel: int = 5,
        condition: int = 0,
    ) -> None:
        super().__init__()
        self.input = nn.Conv1d(channels, width, input_kernel, padding=input_kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, k, expansion, condition=condition) for k in kernels)
        self.last = nn.LayerNorm(width)
        self.context = input_kernel // 2 + sum(k // 2 for k in kernels)

    def forward(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        y = self.norm(self.input(x).transpose(1, 2))
        for block in self.blocks:
            y = block(y, condition)
        result: Tensor = self.last(y)
        return result
