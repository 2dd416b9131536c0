"""Hidden states to log durations: the stochastic duration predictor, run backwards."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tiny_vits import HIDDEN, LAYERS, SPEAKER
from tiny_vits.text import Norm

BINS, TAIL, FLOOR, EDGE = 10, 5.0, 1e-3, 1e-6


class SeparableConvs(nn.Module):
    """Dilated depth-wise and point-wise convolutions with residuals."""

    def __init__(self) -> None:
        super().__init__()
        self.convs_sep = nn.ModuleList(
            nn.Conv1d(HIDDEN, HIDDEN, 3, groups=HIDDEN, dilation=3**i, padding=3**i) for i in range(LAYERS)
        )
        self.convs_1x1 = nn.ModuleList(nn.Conv1d(HIDDEN, HIDDEN, 1) for _ in range(LAYERS))
        self.norms_1 = nn.ModuleList(Norm(HIDDEN) for _ in range(LAYERS))
        self.norms_2 = nn.ModuleList(Norm(HIDDEN) for _ in range(LAYERS))

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor | None = None) -> Tensor:
        if condition is not None:
            x = x + condition
        for sep, norm_1, point, norm_2 in zip(
            self.convs_sep, self.norms_1, self.convs_1x1, self.norms_2, strict=True
        ):
            y = F.gelu(norm_1(sep(x * mask)))
            x = x + F.gelu(norm_2(point(y)))
        return x * mask


def knots(raw: Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised bin sizes [N,BINS] -> the knots [N,BINS+1] on [-TAIL, TAIL] and the sizes between them."""
    share = FLOOR + (1 - FLOOR * raw.shape[-1]) * F.softmax(raw, dim=-1)
    at = 2 * TAIL * F.pad(torch.cumsum(share, dim=-1), (1, 0)) - TAIL
    at[..., 0] = -TAIL
    at[..., -1] = TAIL
    return at, at[..., 1:] - at[..., :-1]


def spline_inverse(y: Tensor, widths: Tensor, heights: Tensor, slopes: Tensor) -> Tensor:
    """x with spline(x) = y, y [N] within the tails: a root of the paper's quadratic (equations 6 to 8)."""
    x_at, width = knots(widths)
    slope = FLOOR + F.softplus(slopes)
    y_at, height = knots(heights)
    y_at[..., -1] += EDGE
    at = (torch.sum(y.unsqueeze(-1) >= y_at, dim=-1) - 1).unsqueeze(-1)
    quotient = height / width
    x0, w, y0, s, d0, d1, h = (
        table.gather(-1, at)[..., 0] for table in (x_at, width, y_at, quotient, slope, slope[..., 1:], height)
    )
    bend = (y - y0) * (d0 + d1 - 2 * s)
    a, b, c = bend + h * (s - d0), h * d0 - bend, -s * (y - y0)
    return 2 * c / (-b - torch.sqrt(b**2 - 4 * a * c)) * w + x0


class SplineFlow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pre = nn.Conv1d(1, HIDDEN, 1)
        self.convs = SeparableConvs()
        self.proj = nn.Conv1d(HIDDEN, 3 * BINS - 1, 1)

    def forward(self, x: Tensor, mask: Tensor, condition: Tensor) -> Tensor:
        kept, y = torch.split(x, [1, 1], dim=1)
        table = self.proj(self.convs(self.pre(kept), mask, condition)) * mask
        batch, channels, length = kept.shape
        table = table.reshape(batch, channels, -1, length).permute(0, 1, 3, 2)
        widths = table[..., :BINS] / math.sqrt(HIDDEN)
        heights = table[..., BINS : 2 * BINS] / math.sqrt(HIDDEN)
        inside = (y >= -TAIL) & (y <= TAIL)
        slopes = F.pad(table[..., 2 * BINS :], (1, 1))
        slopes[..., 0] = slopes[..., -1] = math.log(math.exp(1 - FLOOR) - 1)  # slope 1 where the tails begin
        out = torch.zeros_like(y)
        out[~inside] = y[~inside]
        out[inside] = spline_inverse(y[inside], widths[inside], heights[inside], slopes[inside])
        return torch.cat([kept, out], dim=1) * mask


class Flip(nn.Module):
    def forward(self, x: Tensor, *_: Tensor | None) -> Tensor:
        return torch.flip(x, [1])


class Affine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = nn.Parameter(torch.full((2, 1), -0.8))
        self.logs = nn.Parameter(torch.full((2, 1), 1.2))

    def forward(self, x: Tensor, mask: Tensor, _: Tensor) -> Tensor:
        return (x - self.m) * torch.exp(-self.logs) * mask


class DurationPredictor(nn.Module):
    def __init__(self, speakers: int) -> None:
        super().__init__()
        self.pre, self.proj = nn.Conv1d(HIDDEN, HIDDEN, 1), nn.Conv1d(HIDDEN, HIDDEN, 1)
        self.convs = SeparableConvs()
        self.flows = nn.ModuleList([Affine(), *(part() for _ in range(4) for part in (SplineFlow, Flip))])
        self.cond = nn.Conv1d(SPEAKER, HIDDEN, 1) if speakers > 1 else None

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None, noise_scale: Tensor) -> Tensor:
        x = self.pre(x)
        if self.cond is not None:
            x = x + self.cond(speaker)
        x = self.proj(self.convs(x, mask)) * mask
        z = torch.randn(x.shape[0], 2, x.shape[2]) * noise_scale
        for index in (8, 7, 6, 5, 4, 3, 2, 0):  # VITS leaves the first spline out when it runs backwards
            z = self.flows[index](z, mask, x)
        return torch.split(z, [1, 1], dim=1)[0]
