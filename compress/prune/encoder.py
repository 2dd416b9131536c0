"""A Piper voice's own text encoder in torch, with a small duration head where the voice has a spline flow."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from compress.students.blocks import ConvNeXtBlock
from compress.students.encoder import OUT_OF_SIGHT


@dataclass(frozen=True)
class TeacherEncoderConfig:
    """``filters``: channels inside each layer's feed-forward part.

    ``window``: the farthest relative position; ``tables``: heads that share a table of them have one.
    """

    symbols: int
    hidden: int
    width: int
    heads: int
    filters: tuple[int, ...]
    kernel: int
    window: int
    tables: int = 1
    duration_width: int = 96
    duration_kernels: tuple[int, ...] = (5, 5, 5)
    duration_expansion: float = 2.0
    noise: int = 0
    speaker: int = 0


class RelativeAttention(nn.Module):
    """Self-attention that adds a learnt vector for each relative position up to ``window``; f32 [B,C,T].

    Only the band of 2·window+1 positions is computed, and then laid along the diagonal by reading rows of
    length n as rows of length n-1. The voice's own graph multiplies by 2T-1 positions, nearly all zero.
    """

    def __init__(self, width: int, heads: int, window: int, tables: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.query, self.key, self.value, self.join = (nn.Conv1d(width, width, 1) for _ in range(4))
        size = (tables, 2 * window + 1, width // heads)
        self.near_key, self.near_value = (nn.Parameter(torch.zeros(size)) for _ in range(2))

    def forward(self, x: Tensor, unseen: Tensor | None = None) -> Tensor:
        """``unseen`` f32 [B,T]: a large negative number where nobody may look, else zero."""
        query, key, value = (
            conv(x).reshape(x.shape[0], self.heads, -1, x.shape[2])
            for conv in (self.query, self.key, self.value)
        )
        query = query.transpose(2, 3) * key.shape[2] ** -0.5
        near_key, near_value = _shared(self.near_key), _shared(self.near_value)
        scores = query @ key + self._along(query @ near_key.transpose(-1, -2))
        if unseen is not None:
            scores = scores + unseen[:, None, None]
        weights = torch.softmax(scores, dim=-1)
        joined = weights @ value.transpose(2, 3) + self._across(weights) @ near_value
        result: Tensor = self.join(joined.transpose(2, 3).flatten(1, 2))
        return result

    def _along(self, band: Tensor) -> Tensor:
        """[B,H,T,2W+1], a column for each offset, to [B,H,T,T], zero outside the band."""
        length, reach = band.shape[2], self.window
        rows = F.pad(band, (0, length)).flatten(2)[:, :, : length * (length + 2 * reach)]
        return rows.reshape(*band.shape[:3], length + 2 * reach)[:, :, :, reach : reach + length]

    def _across(self, square: Tensor) -> Tensor:
        """The inverse: [B,H,T,T] to [B,H,T,2W+1], zero where an offset leads out of the text."""
        length, reach = square.shape[2], self.window
        rows = F.pad(F.pad(square, (reach, reach)).flatten(2), (0, length))
        return rows.reshape(*square.shape[:3], length + 2 * reach + 1)[:, :, :, : 2 * reach + 1]


class Layer(nn.Module):
    """Attention and a convolutional feed-forward part, each with a residual and a norm after it; [B,C,T]."""

    def __init__(self, config: TeacherEncoderConfig, filters: int) -> None:
        super().__init__()
        width, kernel = config.width, config.kernel
        self.attention = RelativeAttention(width, config.heads, config.window, config.tables)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.widen, self.narrow = nn.Conv1d(width, filters, kernel), nn.Conv1d(filters, width, kernel)
        self.around = ((kernel - 1) // 2, kernel // 2)

    def forward(self, x: Tensor, seen: Tensor | None, unseen: Tensor | None) -> Tensor:
        x = _normed(self.norm_1, x + self.attention(x, unseen))
        y = torch.relu(self.widen(F.pad(_hide(x, seen), self.around)))
        y = self.narrow(F.pad(_hide(y, seen), self.around))
        return _normed(self.norm_2, x + _hide(y, seen))


class TeacherEncoder(nn.Module):
    """phonemes int64 [B,T] (, noise [B,N,T]) to hidden f32 [B,H,T], durations f32 [B,T].

    The same inputs and outputs as the encoder student. Durations are frames at speed 1.0 before rounding.
    """

    def __init__(self, config: TeacherEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.symbols = nn.Embedding(config.symbols, config.width)
        self.layers = nn.ModuleList(Layer(config, filters) for filters in config.filters)
        self.head = nn.Conv1d(config.width, config.hidden, 1)
        self.timing_in = nn.Linear(config.width + config.noise, config.duration_width)
        self.timing = nn.ModuleList(
            ConvNeXtBlock(config.duration_width, k, config.duration_expansion)
            for k in config.duration_kernels
        )
        self.timing_out = nn.Linear(config.duration_width, 1)

    @property
    def widened(self) -> list[nn.Conv1d]:
        """The convolutions whose output channels are each layer's own: what can be pruned."""
        return [layer.widen for layer in self.layers if isinstance(layer, Layer)]

    def forward(
        self, phonemes: Tensor, noise: Tensor | None = None, present: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """``present`` f32 [B,T], 1 where a phoneme is and 0 where a batch is padded, hides the padding."""
        seen = None if present is None else present[:, None]
        unseen = None if present is None else (1 - present) * OUT_OF_SIGHT
        x = _hide(self.symbols(phonemes).transpose(1, 2), seen)
        for layer in self.layers:
            x = _hide(layer(x, seen, unseen), seen)
        # Cut off from the durations' error, as in VITS itself: on joe it drove the hidden states away again.
        timing = x.detach() if noise is None else torch.cat([x.detach(), noise], dim=1)
        columns = None if present is None else present[:, :, None]
        timing = _hide(self.timing_in(timing.transpose(1, 2)), columns)
        for block in self.timing:
            timing = _hide(block(timing), columns)
        return self.head(x), torch.exp(self.timing_out(timing)[:, :, 0])


def _shared(tables: Tensor) -> Tensor:
    """A table that all heads share, as a plain matrix: INT8 products take no stack of them."""
    return tables[0] if len(tables) == 1 else tables


def _normed(norm: nn.Module, x: Tensor) -> Tensor:
    result: Tensor = norm(x.transpose(1, 2)).transpose(1, 2)
    return result


def _hide(x: Tensor, seen: Tensor | None) -> Tensor:
    return x if seen is None else x * seen
