"""Tasks of the two stages before a Piper voice's vocoder: prior and flow, and text encoder and durations."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.distil.config import AcousticStage, EncoderStage
from compress.distil.tasks.base import Batch, Segments
from compress.labels.store import Labels
from compress.students.acoustic import Acoustic, AcousticConfig
from compress.students.encoder import Encoder, EncoderConfig
from compress.teachers.base import normal
from compress.teachers.staged import DURATION_NOISE, FRAME_NOISE


def spread(hidden: NDArray[Any], durations: NDArray[np.float32]) -> NDArray[np.float32]:
    """hidden [H,T] repeated by the durations rounded up, to [H,F], as the host does."""
    repeats = np.maximum(np.ceil(durations), 1).astype(np.int64)
    return np.repeat(hidden, repeats, axis=1).astype(np.float32)


def frame_noise(labels: Labels, utterance: int, start: int, stop: int) -> NDArray[np.float32]:
    """The noise [M,stop-start] that the teacher sampled for these frames of the utterance."""
    entry, (channels, scale) = labels.entries[utterance], labels.info.noise["acoustic"]
    return normal(entry.seed, FRAME_NOISE, (1, int(channels), entry.frames), scale)[0, :, start:stop]


class AcousticTask:
    """Frames and the teacher's own noise to the teacher's latents."""

    def __init__(self, stage: AcousticStage, labels: Labels) -> None:
        self.stage, self.labels = stage, labels
        self.config = AcousticConfig(
            latents=int(labels.info.noise["acoustic"][0]),
            width=stage.width,
            expansion=stage.expansion,
            input_kernel=stage.input_kernel,
            kernels=stage.kernels,
        )
        self.segments = Segments(labels, stage.schedule.frames, stage.schedule.seed)
        self.context = Acoustic(self.config).context

    def student(self) -> Acoustic:
        return Acoustic(self.config)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """``frames`` [B,2M,F], ``noise`` and ``latents`` [B,M,F], ``mask`` [B,F], 0 where context was cut."""
        length = self.stage.schedule.frames
        drawn = self.segments.draw(step, self.stage.schedule.items, self.context)[rank::ranks]
        frames, noise, latents = [], [], []
        for utterance, start in drawn:
            stop = start + length
            fields = self.labels.read(utterance, ["hidden", "durations"])
            frames.append(spread(fields["hidden"], fields["durations"])[:, start:stop])
            noise.append(frame_noise(self.labels, utterance, start, stop))
            latents.append(self.labels.cut(utterance, "latents", start, stop).astype(np.float32))
        return {
            "frames": torch.from_numpy(np.stack(frames)),
            "noise": torch.from_numpy(np.stack(noise)),
            "latents": torch.from_numpy(np.stack(latents)),
            "mask": torch.from_numpy(self.segments.mask(drawn, self.context)),
        }

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        error = (student(batch["frames"], batch["noise"]) - batch["latents"]).abs().mean(1)
        loss = ((error * batch["mask"]).sum(1) / batch["mask"].sum(1)).mean()
        return loss, {"latents": loss.detach()}


class EncoderTask:
    """Phonemes and the teacher's own noise to its hidden states and durations."""

    def __init__(self, stage: EncoderStage, labels: Labels) -> None:
        self.stage, self.labels = stage, labels
        self.config = EncoderConfig(
            symbols=256,
            hidden=int(labels.read(0, ["hidden"])["hidden"].shape[0]),
            width=stage.width,
            expansion=stage.expansion,
            kernels=stage.kernels,
            attention_after=stage.attention_after,
            heads=stage.heads,
            duration_width=stage.duration_width,
            duration_kernels=stage.duration_kernels,
            noise=int(labels.info.noise["encoder"][0]),
        )

    def student(self) -> Encoder:
        return Encoder(self.config)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """Whole utterances padded to the longest: ``phonemes`` [B,T], ``present`` [B,T], and the targets."""
        rng = np.random.default_rng((self.stage.schedule.seed, step))
        drawn = rng.integers(len(self.labels), size=self.stage.schedule.items)[rank::ranks]
        rows = [self._row(int(utterance)) for utterance in drawn]
        longest = max(row["durations"].shape[-1] for row in rows)
        padded = {name: [_padded(row[name], longest) for row in rows] for name in rows[0]}
        return {name: torch.from_numpy(np.stack(values)) for name, values in padded.items()}

    def _row(self, utterance: int) -> dict[str, NDArray[Any]]:
        row = self.labels.read(utterance, ["phonemes", "durations", "hidden"])
        channels, scale = self.labels.info.noise["encoder"]
        shape = (1, int(channels), len(row["phonemes"]))
        return {
            "phonemes": row["phonemes"].astype(np.int64),
            "durations": row["durations"],
            "hidden": row["hidden"].astype(np.float32),
            "noise": normal(self.labels.entries[utterance].seed, DURATION_NOISE, shape, scale)[0],
            "present": np.ones(len(row["phonemes"]), np.float32),
        }

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        present, target = batch["present"], batch["hidden"]
        hidden, durations = student(batch["phonemes"], batch["noise"], present=present)
        count = present.sum(1)
        states = (((hidden - target).abs().mean(1) * present).sum(1) / count).mean()
        gap = torch.log(durations) - torch.log(batch["durations"].clamp(min=1e-2))
        timing = ((gap.abs() * present).sum(1) / count).mean()
        return states + timing, {"states": states.detach(), "timing": timing.detach()}


def _padded(value: NDArray[Any], length: int) -> NDArray[Any]:
    widths = [(0, 0)] * (value.ndim - 1) + [(0, length - value.shape[-1])]
    return np.pad(value, widths)
