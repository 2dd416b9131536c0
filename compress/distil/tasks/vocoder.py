"""One task a stage: which labels it reads, its student, and its loss."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from compress.distil.config import VocoderStage
from compress.distil.losses import spectral
from compress.labels.store import Labels
from compress.students.vocoder import OverlapAdd, Vocoder, VocoderConfig
from edgevoice.errors import EdgevoiceError

Batch = dict[str, Tensor]


class Task(Protocol):
    """``batch`` is a pure function of the step, so that a resumed run sees what an uninterrupted one would."""

    stage: Any
    labels: Labels

    def student(self) -> nn.Module: ...

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch: ...

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]: ...


class Segments:
    """Draws segments of ``frames`` frames from utterances that are that long, each frame as likely as any other.

    Ends are drawn too: there the student sees the same zero padding as when it speaks.
    """

    def __init__(self, labels: Labels, frames: int, seed: int) -> None:
        lengths = np.array([entry.frames for entry in labels.entries])
        self.usable = np.flatnonzero(lengths >= frames)
        if not len(self.usable):
            raise EdgevoiceError(f"no labelled utterance has {frames} frames; label more or train on fewer frames")
        self.lengths, self.frames, self.seed = lengths, frames, seed
        weights = lengths[self.usable].astype(np.float64)
        self.cumulative = np.cumsum(weights / weights.sum())

    def draw(self, step: int, items: int, edge: int) -> list[tuple[int, int]]:
        """(utterance, first frame) of each item; starts lie up to ``edge`` outside before they are clipped."""
        rng = np.random.default_rng((self.seed, step))
        places = np.searchsorted(self.cumulative, rng.random(items)).clip(max=len(self.usable) - 1)
        drawn = []
        for utterance in self.usable[places]:
            last = int(self.lengths[utterance]) - self.frames
            start = int(rng.integers(-edge, last + edge + 1))
            drawn.append((int(utterance), min(max(start, 0), last)))
        return drawn


class VocoderTask:
    """Latents (and what else drives the teacher's vocoder) to the teacher's own waveform."""

    def __init__(self, stage: VocoderStage, labels: Labels, latents: int) -> None:
        self.stage, self.labels = stage, labels
        self.config = VocoderConfig(
            latents=latents,
            hop=labels.info.hop,
            n_fft=stage.n_fft,
            width=stage.width,
            expansion=stage.expansion,
            input_kernel=stage.input_kernel,
            kernels=stage.kernels,
            cartesian=stage.cartesian,
        )
        self.segments = Segments(labels, stage.schedule.frames, stage.schedule.seed)
        self.overlap_add = OverlapAdd(stage.n_fft, labels.info.hop)
        self.context = Vocoder(self.config).context
        self.scale = np.float32(labels.info.full_scale / 32767.0)

    def student(self) -> Vocoder:
        return Vocoder(self.config)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """``latents`` [B,M,F], ``audio`` [B,F*hop], and ``mask`` [B,F*hop], zero where context was cut off."""
        hop, length = self.labels.info.hop, self.stage.schedule.frames
        drawn = self.segments.draw(step, self.stage.schedule.items, self.context)[rank::ranks]
        latents, audio, mask = [], [], np.zeros((len(drawn), length), np.float32)
        for item, (utterance, start) in enumerate(drawn):
            stop = start + length
            latents.append(self.labels.cut(utterance, "latents", start, stop))
            audio.append(self.labels.cut(utterance, "audio", start * hop, stop * hop))
            first = 0 if start == 0 else self.context
            last = length if stop == self.segments.lengths[utterance] else length - self.context
            mask[item, first:last] = 1
        return {
            "latents": torch.from_numpy(np.stack(latents).astype(np.float32)),
            "audio": torch.from_numpy(np.stack(audio).astype(np.float32) * self.scale),
            "mask": torch.from_numpy(np.repeat(mask, hop, axis=1)),
        }

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        weights = self.stage.loss
        wave = self.overlap_add(student(batch["latents"])) * batch["mask"]
        target = batch["audio"] * batch["mask"]
        drawn = np.random.default_rng((self.stage.schedule.seed, step, 1)).permutation(weights.sizes)[: weights.draw]
        total, parts = torch.zeros(()), {}
        for size in drawn.tolist():
            for name, value in spectral(wave, target, size, self.labels.info.sample_rate).items():
                total = total + getattr(weights, name) * value / len(drawn)
                parts[f"{name}/{size}"] = value.detach()
        return total, parts
