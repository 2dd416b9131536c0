"""Discriminators that learn to tell a vocoder's spectrogram from the teacher's, and what they ask of it.

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
from edgevoice.errors import EdgevoiceError

STREAM = 3
SLOPE = 0.1
STRIDES = (1, 2, 1, 1)
"""Along time, of each layer; windows overlap by three quarters, so every second one is seen anyway."""

FLOOR = 1e-3
"""Of magnitudes. Labels are rounded to 16 bits, 2e-4 to 5e-4 of each bin: what lies below tells the teacher
from a student by nothing that anybody hears."""

COMPRESSION = 0.3
"""The power that magnitudes are raised to, so that a quiet partial counts beside a loud one."""


class Discriminator(nn.Module):
    """Waveform f32 [B,N] to scores [B,1,L/2,bins/16], above zero where it takes it for the teacher's, and the
    features [B,width,...] of each layer; L windows of ``size`` samples a quarter of it apart.
    """

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
        x, features = spectrogram_input(wave, self.size), []
        for layer in self.layers:
            x = nn.functional.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.last(x), features


def spectrogram_input(wave: Tensor, size: int) -> Tensor:
    """f32 [B,4,L,bins] of f32 [B,N]: compressed real and imaginary part, log magnitude, place of the bin."""
    spectrum = stft(wave, size).transpose(1, 2)
    magnitude = torch.sqrt(spectrum.real**2 + spectrum.imag**2 + FLOOR**2)
    gain = magnitude ** (COMPRESSION - 1)
    place = torch.linspace(-1, 1, magnitude.shape[2], device=wave.device).expand_as(magnitude)
    rows = [spectrum.real * gain, spectrum.imag * gain, torch.log(magnitude) / 4, place]
    return torch.stack(rows, dim=1)


class WaveTask(Protocol):
    """A task whose student makes sound; see `compress.distil.tasks.vocoder.VocoderTask`."""

    def sounds(self, student: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]: ...

    def distance(self, ours: Tensor, theirs: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]: ...


class Adversary:
    """The discriminators of a run and their optimisers; they learn at every step before they are asked."""

    def __init__(self, task: WaveTask, table: AdversaryTable, schedule: Schedule, fabric: Fabric) -> None:
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
        """What `state` gave, of discriminators of the same table."""
        for size, model in self.models.items():
            model.load_state_dict(state[str(size)]["model"])
            self.optimisers[size].load_state_dict(state[str(size)]["optimiser"])

    def loss(
        self, student: nn.Module, batch: Batch, step: int, rate_scale: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The task's loss and what the discriminator drawn for this step adds to it, a scalar; its parts.

        ``rate_scale``: the part of the table's rate that the discriminator learns at. A discriminator whose
        own loss is no number is an `EdgevoiceError`.
        """
        ours, theirs = self.task.sounds(student, batch)
        total, parts = self.task.distance(ours, theirs, step)
        rng = np.random.default_rng((self.schedule.seed, step, STREAM))
        size = int(rng.choice(self.table.sizes))
        parts["distance"] = total.detach()
        parts[f"discriminator/{size}"] = self._learn(size, ours.detach(), theirs, rate_scale)
        with frozen(self.models[size].module) as model:
            with torch.no_grad():
                _, teacher = model(theirs)
            score, features = model(ours)
        generator, matching = -score.mean(), feature_matching(features, teacher)
        parts[f"generator/{size}"], parts[f"matching/{size}"] = generator.detach(), matching.detach()
        return total + self.table.weight * generator + self.table.features * matching, parts

    def _learn(self, size: int, ours: Tensor, theirs: Tensor, rate_scale: float) -> Tensor:
        """One step of the discriminator's own, by the hinge loss."""
        model, optimiser = self.models[size], self.optimisers[size]
        for group in optimiser.param_groups:
            group["lr"] = self.table.rate * rate_scale
        score, _ = model(torch.cat([theirs, ours]))
        real, fake = score.chunk(2)
        loss: Tensor = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
        if not torch.isfinite(loss):
            raise EdgevoiceError(
                f"the discriminator's loss became {loss.item()}; go on from the last checkpoint with a lower "
                "rate in distil.finish or distil.finish.adversary"
            )
        optimiser.zero_grad()
        self.fabric.backward(loss)
        self.fabric.clip_gradients(model, optimiser, max_norm=self.schedule.clip, error_if_nonfinite=False)
        optimiser.step()
        return loss.detach()


def feature_matching(ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
    """Mean over layers and items of the L1 of their features over the mean size of the teacher's."""
    rows = [
        (one - other).abs().flatten(1).mean(1) / other.abs().flatten(1).mean(1).clamp(min=FLOOR)
        for one, other in zip(ours, theirs, strict=True)
    ]
    return torch.stack(rows).mean()


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """The model with gradients for its input alone, which spares a third of the work."""
    model.requires_grad_(False)
    try:
        yield model
    finally:
        model.requires_grad_(True)
