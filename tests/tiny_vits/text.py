"""Phonemes to hidden states: the text encoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tiny_vits import FILTER, HEADS, HIDDEN, LATENTS, LAYERS

WINDOW = 4


class Norm(nn.Module):
    # Random: the exporter would share equal weights through Identity nodes, which no trained voice has.
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(1 + 0.1 * torch.randn(channels))
        self.beta = nn.Parameter(0.1 * torch.randn(channels))

    def forward(self, x: Tensor) -> Tensor:
        x = F.layer_norm(x.transpose(1, -1), self.gamma.shape, self.gamma, self.beta, 1e-5)
        return x.transpose(1, -1)


class Attention(nn.Module):
    """Self-attention with learnt vectors for the relative positions -WINDOW..WINDOW."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_q, self.conv_k, self.conv_v, self.conv_o = (nn.Conv1d(HIDDEN, HIDDEN, 1) for _ in range(4))
        self.emb_rel_k, self.emb_rel_v = (
            nn.Parameter(torch.randn(1, 2 * WINDOW + 1, HIDDEN // HEADS) * 0.3) for _ in range(2)
        )

    def forward(self, x: Tensor, pairs: Tensor) -> Tensor:
        k, q, v = self.conv_k(x), self.conv_q(x), self.conv_v(x)
        batch, _, length = k.shape
        q, k, v = (y.reshape(batch, HEADS, HIDDEN // HEADS, length).transpose(2, 3) for y in (q, k, v))
        q = q / math.sqrt(HIDDEN // HEADS)
        reach = length - WINDOW - 1  # negative for short texts: the pad then crops
        near = F.pad(self.emb_rel_k, (0, 0, reach, reach)).unsqueeze(0)
        scores = q @ k.transpose(2, 3) + self.by_column(q @ near.transpose(2, 3), length)
        weights = F.softmax(scores.masked_fill(pairs == 0, -1e4), dim=-1)
        near = F.pad(self.emb_rel_v, (0, 0, reach, reach)).unsqueeze(0)
        out: Tensor = weights @ v + self.by_offset(weights, length) @ near
        out = self.conv_o(out.transpose(2, 3).reshape(batch, HIDDEN, length))
        return out

    @staticmethod
    def by_column(x: Tensor, length: int) -> Tensor:
        """Scores by offset [B,H,T,2T-1] -> by column [B,H,T,T]: a row is one left of the last."""
        batch, heads = x.shape[:2]
        flat = F.pad(F.pad(x, (0, 1)).reshape(batch, heads, length * 2 * length), (0, length - 1))
        return flat.reshape(batch, heads, length + 1, 2 * length - 1)[:, :, :length, length - 1 :]

    @staticmethod
    def by_offset(x: Tensor, length: int) -> Tensor:
        """The inverse: [B,H,T,T] -> [B,H,T,2T-1]."""
        batch, heads = x.shape[:2]
        flat = F.pad(x, (0, length - 1)).reshape(batch, heads, length * length + length * (length - 1))
        return F.pad(flat, (length, 0)).reshape(batch, heads, length, 2 * length)[:, :, :, 1:]


class FeedForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_1, self.conv_2 = nn.Conv1d(HIDDEN, FILTER, 3), nn.Conv1d(FILTER, HIDDEN, 3)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = torch.relu(self.conv_1(F.pad(x * mask, (1, 1))))
        x = self.conv_2(F.pad(x * mask, (1, 1)))
        return x * mask


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attn_layers = nn.ModuleList(Attention() for _ in range(LAYERS))
        self.norm_layers_1 = nn.ModuleList(Norm(HIDDEN) for _ in range(LAYERS))
        self.ffn_layers = nn.ModuleList(FeedForward() for _ in range(LAYERS))
        self.norm_layers_2 = nn.ModuleList(Norm(HIDDEN) for _ in range(LAYERS))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        pairs = mask.unsqueeze(2) * mask.unsqueeze(-1)
        x = x * mask
        layers = zip(self.attn_layers, self.norm_layers_1, self.ffn_layers, self.norm_layers_2, strict=True)
        for attend, norm_1, feed, norm_2 in layers:
            x = norm_1(x + attend(x, pairs))
            x = norm_2(x + feed(x, mask))
        return x * mask


class TextEncoder(nn.Module):
    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.emb = nn.Embedding(symbols, HIDDEN)
        self.encoder = Transformer()
        self.proj = nn.Conv1d(HIDDEN, 2 * LATENTS, 1)

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x = (self.emb(ids) * math.sqrt(HIDDEN)).transpose(1, 2)
        mask = (torch.arange(x.shape[2]).unsqueeze(0) < lengths.unsqueeze(1)).unsqueeze(1).to(x.dtype)
        x = self.encoder(x * mask, mask)
        mean, log_scale = torch.split(self.proj(x) * mask, LATENTS, dim=1)
        return x, mean, log_scale, mask
