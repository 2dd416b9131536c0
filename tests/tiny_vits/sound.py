"""Frames to sound: the residual coupling flow, run backwards, and the HiFi-GAN decoder."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from tiny_vits import HIDDEN, LATENTS, LAYERS, SPEAKER
from tiny_vits.durations import Flip

RATES, KERNELS, CHANNELS = (8, 8, 4), (16, 16, 8), (16, 12, 8, 6)
BRANCHES: dict[str, dict[int, tuple[int, ...]]] = {
    "1": {3: (1, 3, 5), 7: (1, 3, 5), 11: (1, 3, 5)},
    "2": {3: (1, 2), 5: (2, 6), 7: (3, 12)},
}


def gated(x: Tensor, condition: Tensor, channels: int) -> Tensor:
    in_act = x + condition
    t_act = torch.tanh(in_act[:, :channels])
    s_act = torch.sigmoid(in_act[:, channels:])
    return t_act * s_act


# A scripted function has no module, so its nodes lose their scope: so they do in the released voices.
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    gate = torch.jit.script(gated)


class GatedConvs(nn.Module):
    """WaveNet-like layers. The exporter folds their weight norm into weights that carry no module's name."""

    def __init__(self, speakers: int) -> None:
        super().__init__()
        self.in_layers = nn.ModuleList(
            weight_norm(nn.Conv1d(HIDDEN, 2 * HIDDEN, 5, padding=2)) for _ in range(LAYERS)
        )
        self.res_skip_layers = nn.ModuleList(
            weight_norm(nn.Conv1d(HIDDEN, HIDDEN if last else 2 * HIDDEN, 1))
            for last in (index == LAYERS - 1 for index in range(LAYERS))
        )
        self.cond_layer = weight_norm(nn.Conv1d(SPEAKER, 2 * HIDDEN * LAYERS, 1)) if speakers > 1 else None

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None) -> Tensor:
        total = torch.zeros_like(x)
        conditions = None if self.cond_layer is None else self.cond_layer(speaker)
        for index, (inner, res_skip) in enumerate(zip(self.in_layers, self.res_skip_layers, strict=True)):
            y = inner(x)
            if conditions is None:
                condition = torch.zeros_like(y)
            else:
                condition = conditions[:, 2 * HIDDEN * index : 2 * HIDDEN * (index + 1)]
            y = res_skip(gate(y, condition, HIDDEN))
            if index < LAYERS - 1:
                x = (x + y[:, :HIDDEN]) * mask
                y = y[:, HIDDEN:]
            total = total + y
        return total * mask


class Coupling(nn.Module):
    def __init__(self, speakers: int) -> None:
        super().__init__()
        self.pre = nn.Conv1d(LATENTS // 2, HIDDEN, 1)
        self.enc = GatedConvs(speakers)
        self.post = nn.Conv1d(HIDDEN, LATENTS // 2, 1)

    def forward(self, x: Tensor, mask: Tensor, speaker: Tensor | None) -> Tensor:
        kept, moved = torch.split(x, [LATENTS // 2] * 2, dim=1)
        shift = self.post(self.enc(self.pre(kept) * mask, mask, speaker)) * mask
        log_scale = torch.zeros_like(shift)  # VITS moves the mean only, and the export keeps the rest
        return torch.cat([kept, (moved - shift) * torch.exp(-log_scale) * mask], dim=1)


class Flow(nn.Module):
    def __init__(self, speakers: int) -> None:
        super().__init__()
        self.flows = nn.ModuleList(part for _ in range(4) for part in (Coupling(speakers), Flip()))

    def forward(self, z: Tensor, mask: Tensor, speaker: Tensor | None) -> Tensor:
        for index in range(len(self.flows) - 1, -1, -1):
            z = self.flows[index](z, mask, speaker)
        return z


class ResBlock1(nn.Module):
    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel // 2)) for d in dilations
        )
        self.convs2 = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, padding=kernel // 2) for _ in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            x = plain(F.leaky_relu(dilated(F.leaky_relu(x, 0.1)), 0.1)) + x
        return x


class ResBlock2(nn.Module):
    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, channels, kernel, dilation=d, padding=d * (kernel // 2)) for d in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(F.leaky_relu(x, 0.1)) + x
        return x


class Decoder(nn.Module):
    def __init__(self, speakers: int, resblock: str) -> None:
        super().__init__()
        block = {"1": ResBlock1, "2": ResBlock2}[resblock]
        self.branches = len(BRANCHES[resblock])
        self.conv_pre = nn.Conv1d(LATENTS, CHANNELS[0], 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(CHANNELS[i], CHANNELS[i + 1], k, r, padding=(k - r) // 2)
            for i, (r, k) in enumerate(zip(RATES, KERNELS, strict=True))
        )
        self.resblocks = nn.ModuleList(
            block(channels, kernel, dilations)
            for channels in CHANNELS[1:]
            for kernel, dilations in BRANCHES[resblock].items()
        )
        self.conv_post = nn.Conv1d(CHANNELS[-1], 1, 7, padding=3, bias=False)
        self.cond = nn.Conv1d(SPEAKER, CHANNELS[0], 1) if speakers > 1 else None

    def forward(self, z: Tensor, speaker: Tensor | None) -> Tensor:
        x = self.conv_pre(z)
        if self.cond is not None:
            x = x + self.cond(speaker)
        for index, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, 0.1))
            first = index * self.branches
            total = self.resblocks[first](x)
            for block in self.resblocks[first + 1 : first + self.branches]:
                total = total + block(x)
            x = total / self.branches
        return torch.tanh(self.conv_post(F.leaky_relu(x)))
