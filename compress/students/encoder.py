"""The encoder student: phonemes to hidden states and durations, with neither spline flow nor BERT."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from compress.students.blocks import STYLE, Attention, ConvNeXtBlock, Style

OUT_OF_SIGHT = -1e4
"""Added to attention scores of padding; small enough for FP16."""


@dataclass(frozen=True)
class EncoderConfig:
    """``noise``: channels of the sampled input that durations depend on, 0 where they do not."""

    symbols: int
    hidden: int
    width: int = 192
    expansion: float = 2.0
    kernels: tuple[int, ...] = (5, 5, 5, 5, 5, 5)
    attention_after: tuple[int, ...] = (2, 4)
    heads: int = 2
    duration_width: int = 96
    duration_kernels: tuple[int, ...] = (5, 5, 5)
    noise: int = 0
    speaker: int = 0


class Encoder(nn.Module):
    """phonemes int64 [B,T] (, noise [B,N,T]) (, speaker [B,S]) to hidden f32 [B,H,T], durations f32 [B,T].

    Durations are frames at speed 1.0 before rounding.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.symbols = nn.Embedding(config.symbols, config.width)
        nn.init.normal_(self.symbols.weight, std=0.5)
        self.style = Style(config.speaker) if config.speaker else None
        condition = STYLE if config.speaker else 0
        self.blocks = nn.ModuleList(
            ConvNeXtBlock(config.width, k, config.expansion, condition) for k in config.kernels
        )
        self.attention = nn.ModuleDict(
            {str(place): Attention(config.width, config.heads) for place in config.attention_after}
        )
        self.last = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.hidden)
        self.timing_in = nn.Linear(config.width + config.noise, config.duration_width)
        self.timing = nn.ModuleList(
            ConvNeXtBlock(config.duration_width, k, config.expansion, condition)
            for k in config.duration_kernels
        )
        self.timing_out = nn.Linear(config.duration_width, 1)

    def forward(
        self,
        phonemes: Tensor,
        noise: Tensor | None = None,
        speaker: Tensor | None = None,
        present: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """``present`` f32 [B,T], 1 where a phoneme is and 0 where a batch is padded, hides the padding."""
        seen = None if present is None else present[:, :, None]
        unseen = None if present is None else (1 - present) * OUT_OF_SIGHT
        style = None if self.style is None or speaker is None else self.style(speaker)
        x = _hide(self.symbols(phonemes), seen)
        for place, block in enumerate(self.blocks):
            if str(place) in self.attention:
                x = self.attention[str(place)](x, unseen)
            x = _hide(block(_hide(x, seen), style), seen)
        y = self.last(x)
        timing = y if noise is None else torch.cat([y, noise.transpose(1, 2)], dim=2)
        timing = _hide(self.timing_in(timing), seen)
        for block in self.timing:
            timing = _hide(block(timing, style), seen)
        return self.head(y).transpose(1, 2), torch.exp(self.timing_out(timing)[:, :, 0])


def _hide(x: Tensor, seen: Tensor | None) -> Tensor:
    return x if seen is None else x * seen
