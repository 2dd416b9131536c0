"""An adversary for a vocoder: networks that learn to tell its spectrogram from the teacher's.

Regression alone makes the mean of what could be said, which sounds dull where the latents do not tell the
phase; what an adversary asks for lies among the teacher's own sounds. The design follows the multi-resolution
discriminators of UnivNet (arXiv:2106.07889) and Vocos (arXiv:2306.00814), smaller, and one resolution a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from compress.distil.config import AdversaryTable, Schedule
from compress.distil.losses import stft
from compress.distil.tasks.base import Batch

STREAM = 3
QUIET = 1e-5
SLOPE = 0.1
STRIDES = (1, 2, 1, 1)
"""Along time, of each layer; windows overlap by three quarters, so every second one is seen anyway."""

LOUDNESS = 0.3
"""The power that magnitudes are raised to, so that a quiet partial counts beside a loud one."""


class Discriminator(nn.Module):
    """Waveform f32 [B,N] to scores [B,1,L,bins], above zero where it takes it for the teacher's; features."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.size = size
        channels = (4, width, width, width, width)
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(inputs, outputs, (3, 9), (along, 2), (1, 4)))
            for inputs, outputs, along in zip(channels[:-1], channels[1:], STRIDES, strict=True)
        )
        self.last = weight_norm(nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, wave: Tensor) -> tuple[Tensor, list[Tensor]]:
        x, features = picture(wave, self.size), []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.last(x), features


def picture(wave: Tensor, size: int) -> Tensor:
    """f32 [B,4,L,bins] of a waveform [B,N]: compressed real and imaginary part, log magnitude, height."""
    spectrum = stft(wave, size).transpose(1, 2)
    magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + QUIET**2)
    shrink = magnitude ** (LOUDNESS - 1)
    height = torch.linspace(-1, 1, magnitude.shape[2], device=wave.device).expand_as(magnitude)
    rows = [spectrum.real * shrink, spectrum.imag * shrink, torch.log(magnitude + QUIET) / 4 + 1, height]
    return torch.stack(rows, dim=1)


class Sounding(Protocol):
    """A task whose student makes sound."""

    def sounds(self, student: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]: ...

    def distance(self, ours: Tensor, theirs: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]: ...


class Adversary:
    """A task's loss with an adversary's in it, which learns at every step before it is asked."""

    def __init__(self, task: Sounding, table: AdversaryTable, schedule: Schedule, fabric: Fabric) -> None:
        self.task, self.table, self.schedule, self.fabric = task, table, schedule, fabric
        self.models: dict[int, Any] = {}
        self.optimisers: dict[int, Any] = {}
        for size in table.sizes:
            model = Discriminator(size, table.width)
            optimiser = torch.optim.AdamW(model.parameters(), table.rate, betas=(0.8, 0.99), fused=True)
            self.models[size], self.optimisers[size] = fabric.setup(model, optimiser)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps to go on exactly."""
        return {
            str(size): {"model": model.state_dict(), "optimiser": self.optimisers[size].state_dict()}
            for size, model in self.models.items()
        }

    def load(self, state: dict[str, Any]) -> None:
        for size, model in self.models.items():
            model.load_state_dict(state[str(size)]["model"])
            self.optimisers[size].load_state_dict(state[str(size)]["optimiser"])

    def loss(
        self, student: nn.Module, batch: Batch, step: int, pace: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The task's loss and what the adversary adds; ``pace``: the part of its rate that it learns at."""
        ours, theirs = self.task.sounds(student, batch)
        total, parts = self.task.distance(ours, theirs, step)
        rng = np.random.default_rng((self.schedule.seed, step, STREAM))
        size = int(rng.choice(self.table.sizes))
        parts[f"discriminator/{size}"] = self._learn(size, ours.detach(), theirs, pace)
        with frozen(self.models[size].module) as model:
            with torch.no_grad():
                _, known = model(theirs)
            score, features = model(ours)
        deceit = -score.mean()
        likeness = torch.stack([alike(a, b) for a, b in zip(features, known, strict=True)]).mean()
        parts[f"adversarial/{size}"], parts[f"features/{size}"] = deceit.detach(), likeness.detach()
        return total + self.table.weight * deceit + self.table.features * likeness, parts

    def _learn(self, size: int, ours: Tensor, theirs: Tensor, pace: float) -> Tensor:
        """One step of the adversary's own, by the hinge loss."""
        model, optimiser = self.models[size], self.optimisers[size]
        for group in optimiser.param_groups:
            group["lr"] = self.table.rate * pace
        score, _ = model(torch.cat([theirs, ours]))
        true, false = score.chunk(2)
        loss: Tensor = torch.relu(1 - true).mean() + torch.relu(1 + false).mean()
        optimiser.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(model, optimiser, max_norm=self.schedule.clip, error_if_nonfinite=False)
        optimiser.step()
        return loss.detach()


def alike(ours: Tensor, theirs: Tensor) -> Tensor:
    """L1 of features over their mean size, so that no layer and no resolution counts more than another."""
    return (ours - theirs).abs().mean() / theirs.abs().mean().clamp(min=QUIET)


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """The model with gradients for its input alone, which spares a third of the work."""
    model.requires_grad_(False)
    try:
        yield model
    finally:
        model.requires_grad_(True)
