"""The vocoder's task: latents to the teacher's own waveform."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.distil.config import VocoderStage
from compress.distil.losses import spectral
from compress.distil.tasks.base import Batch, Segments
from compress.labels.store import Labels
from compress.students.vocoder import OverlapAdd, Vocoder, VocoderConfig, shaped
from edgevoice.errors import EdgevoiceError


class VocoderTask:
    """For vocoders driven by latents alone; others override `_config` and `drive`."""

    hears = True

    def __init__(self, stage: VocoderStage, labels: Labels) -> None:
        if stage.n_fft < labels.info.hop:
            raise EdgevoiceError(
                f"distil.vocoder.n_fft {stage.n_fft} is below the teacher's hop of {labels.info.hop} samples"
            )
        self.stage, self.labels = stage, labels
        self.config = self._config()
        self.segments = Segments(labels, stage.schedule.frames, stage.schedule.seed, with_audio=True)
        self.overlap_add = OverlapAdd(stage.n_fft, labels.info.hop)
        self.context = Vocoder(self.config).context
        self.scale = np.float32(labels.info.full_scale / 32767.0)

    def _config(self) -> VocoderConfig:
        return self._common(latents=int(self.labels.read(0, ["latents"])["latents"].shape[0]))

    def _common(self, latents: int, phase: int = 0, speaker: int = 0) -> VocoderConfig:
        stage = self.stage
        return VocoderConfig(
            latents=latents,
            hop=self.labels.info.hop,
            n_fft=stage.n_fft,
            width=stage.width,
            expansion=stage.expansion,
            input_kernel=stage.input_kernel,
            kernels=stage.kernels,
            phase=phase,
            speaker=speaker,
            cartesian=stage.cartesian,
            source=stage.source,
        )

    def student(self) -> Vocoder:
        return Vocoder(self.config)

    def drive(self, utterance: int, start: int, stop: int) -> dict[str, NDArray[np.float32]]:
        """The student's inputs for these frames, by name."""
        return {"latents": self.labels.cut(utterance, "latents", start, stop).astype(np.float32)}

    def item(
        self, place: tuple[int, int], utterance: int, start: int, stop: int
    ) -> dict[str, NDArray[np.float32]]:
        """What `drive` gives, or what a task puts in its stead at this step and place of the batch."""
        return self.drive(utterance, start, stop)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """The inputs, ``audio`` and ``mask`` [B,F*hop], the mask zero where context was cut."""
        hop, length = self.labels.info.hop, self.stage.schedule.frames
        places = list(enumerate(self.segments.draw(step, self.stage.schedule.items, self.context)))
        rows = []
        for place, (utterance, start) in places[rank::ranks]:
            audio = self.labels.cut(utterance, "audio", start * hop, (start + length) * hop)
            row = self.item((step, place), utterance, start, start + length)
            rows.append({**row, "audio": audio.astype(np.float32) * self.scale})
        batch = {name: torch.from_numpy(np.stack([row[name] for row in rows])) for name in rows[0]}
        drawn = [segment for _, segment in places[rank::ranks]]
        mask = np.repeat(self.segments.mask(drawn, self.context), hop, axis=1)
        return {**batch, "mask": torch.from_numpy(mask)}

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        return self.distance(*self.sounds(student, batch), step)

    def sounds(self, student: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """The student's and the teacher's waveform [B,N], both zero where context was cut."""
        inputs = {name: value for name, value in batch.items() if name not in ("audio", "mask", "source")}
        answer = student(**inputs)
        if "source" in batch:
            answer = shaped(answer, batch["source"])
        return self.overlap_add(answer) * batch["mask"], batch["audio"] * batch["mask"]

    def distance(self, ours: Tensor, theirs: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The terms of `compress.distil.losses` at the STFT sizes that are drawn for this step."""
        weights = self.stage.loss
        rng = np.random.default_rng((self.stage.schedule.seed, step, 1))
        drawn = rng.permutation(weights.sizes)[: weights.draw]
        total, parts = torch.zeros(()), {}
        for size in drawn.tolist():
            for name, value in spectral(ours, theirs, size, self.labels.info.sample_rate).items():
                total = total + getattr(weights, name) * value / len(drawn)
                parts[f"{name}/{size}"] = value.detach()
        return total, parts
