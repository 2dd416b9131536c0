"""The vocoder's task: latents (and what else drives the teacher's vocoder) to the teacher's own waveform."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from compress.distil.config import VocoderStage
from compress.distil.losses import spectral
from compress.distil.tasks.base import Batch, Segments
from compress.labels.store import Labels
from compress.students.vocoder import OverlapAdd, Vocoder, VocoderConfig


class VocoderTask:
    def __init__(self, stage: VocoderStage, labels: Labels) -> None:
        self.stage, self.labels = stage, labels
        self.config = VocoderConfig(
            latents=int(labels.read(0, ["latents"])["latents"].shape[0]),
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
        """``latents`` [B,M,F], ``audio`` and ``mask`` [B,F*hop], the mask zero where context was cut."""
        hop, length = self.labels.info.hop, self.stage.schedule.frames
        drawn = self.segments.draw(step, self.stage.schedule.items, self.context)[rank::ranks]
        latents, audio = [], []
        for utterance, start in drawn:
            stop = start + length
            latents.append(self.labels.cut(utterance, "latents", start, stop))
            audio.append(self.labels.cut(utterance, "audio", start * hop, stop * hop))
        mask = np.repeat(self.segments.mask(drawn, self.context), hop, axis=1)
        return {
            "latents": torch.from_numpy(np.stack(latents).astype(np.float32)),
            "audio": torch.from_numpy(np.stack(audio).astype(np.float32) * self.scale),
            "mask": torch.from_numpy(mask),
        }

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        weights = self.stage.loss
        wave = self.overlap_add(student(batch["latents"])) * batch["mask"]
        target = batch["audio"] * batch["mask"]
        rng = np.random.default_rng((self.stage.schedule.seed, step, 1))
        drawn = rng.permutation(weights.sizes)[: weights.draw]
        total, parts = torch.zeros(()), {}
        for size in drawn.tolist():
            for name, value in spectral(wave, target, size, self.labels.info.sample_rate).items():
                total = total + getattr(weights, name) * value / len(drawn)
                parts[f"{name}/{size}"] = value.detach()
        return total, parts
