"""What all students are built of: ConvNeXt blocks over time, nearly all of their work matrix products."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, LayerNorm, two matrix products, layer scale, residual; f32 [B,L,C] to the same.

    The input of length L is padded with zeros at both ends, so it sees ``kernel // 2`` steps to each side.
    """

    def __init__(
        self, width: int, kernel: int, expansion: float, condition: int = 0, scale: float = 0.3
    ) -> None:
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
        y: Tensor = self.norm(self.depthwise(x.transpose(1, 2)).transpose(1, 2))
        if self.condition is not None and condition is not None:
            gain, shift = torch.split(self.condition(condition)[:, None], y.shape[-1], dim=-1)
            y = y * (1 + gain) + shift
        y = self.narrow(nn.functional.gelu(self.widen(y)))
        return x + self.scale * y


class Attention(nn.Module):
    """Self-attention with a residual, f32 [B,T,C] to the same; the convolutions around it know the order."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """``hidden`` f32 [B,T]: a large negative number where nobody may look, else zero."""
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2)
                             for part in self.project(self.norm(x)).chunk(3, dim=2))  # fmt: skip
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        if hidden is not None:
            scores = scores + hidden[:, None, None]
        y: Tensor = torch.softmax(scores, dim=-1) @ value
        joined: Tensor = self.join(y.transpose(1, 2).flatten(2))
        return x + joined


class Style(nn.Module):
    """What a speaker vector f32 [B,S] says to all blocks, f32 [B,``STYLE``]."""

    def __init__(self, speaker: int) -> None:
        super().__init__()
        self.project = nn.Linear(speaker, STYLE)

    def forward(self, speaker: Tensor) -> Tensor:
        return nn.functional.gelu(self.project(speaker))


STYLE = 64


class Trunk(nn.Module):
    """An input convolution, blocks, and a last norm; f32 [B,channels,L] to [B,L,width]."""

    def __init__(
        self,
        channels: int,
        width: int,
        kernels: tuple[int, ...],
        expansion: float,
        input_kernel: int = 5,
        speaker: int = 0,
    ) -> None:
        super().__init__()
        self.style = Style(speaker) if speaker else None
        condition = STYLE if speaker else 0
        self.input = nn.Conv1d(channels, width, input_kernel, padding=input_kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(ConvNeXtBlock(width, k, expansion, condition) for k in kernels)
        self.last = nn.LayerNorm(width)
        self.context = input_kernel // 2 + sum(k // 2 for k in kernels)

    def forward(self, x: Tensor, speaker: Tensor | None = None) -> Tensor:
        condition = None if self.style is None or speaker is None else self.style(speaker)
        y = self.norm(self.input(x).transpose(1, 2))
        for block in self.blocks:
            y = block(y, condition)
        result: Tensor = self.last(y)
        return result
