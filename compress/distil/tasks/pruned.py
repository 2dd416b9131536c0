"""Tasks whose students are a teacher's own stages with channels taken out; the students' losses mend them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from compress.distil.config import EncoderStage, VocoderStage
from compress.distil.tasks.piper import EncoderTask
from compress.distil.tasks.vocoder import VocoderTask
from compress.labels.store import Labels
from compress.prune.encoder import TeacherEncoder
from compress.prune.hifigan import HiFiGan
from compress.prune.importance import Fisher, thin
from compress.prune.ratio import thinner_encoder, thinner_hifigan
from compress.prune.read_encoder import read_config, read_encoder
from compress.prune.read_hifigan import read_hifigan, read_hifigan_config
from compress.staged import StagedVoice
from edgevoice.errors import EdgevoiceError

SAMPLES = 32
"""Utterances, or segments, that a channel's worth is found on."""

NUDGE = 1e-3
"""How far states are moved at random to see what the loss makes of it: at no distance it has no slope."""

HISS = 0.03
"""The same for sound, as a part of each sample: measured on joe, better than even noise."""

FAR = 0.05
"""Relative distance between a teacher's answer and its label in half precision that no rounding explains."""


def required(voice: StagedVoice | None, stage: str) -> StagedVoice:
    if voice is None:
        raise EdgevoiceError(f"distil.{stage}.keep prunes the teacher's own {stage}: name the voice's file")
    return voice


def refuse_other(ours: Tensor, label: Tensor, voice: StagedVoice, labels: Labels) -> None:
    """Labels of another voice are an `EdgevoiceError`."""
    if ours.shape != label.shape or not float((ours - label).norm() / label.norm()) < FAR:
        raise EdgevoiceError(f"{labels.root} holds labels of another teacher than {voice.name}")


class PrunedEncoderTask(EncoderTask):
    """Phonemes to the teacher's hidden states by its own pruned text encoder; durations by a new head."""

    def __init__(self, stage: EncoderStage, labels: Labels, voice: StagedVoice | None) -> None:
        super().__init__(stage, labels)
        self.voice = required(voice, "encoder")
        self._timing: dict[str, Any] = {
            "duration_width": stage.duration_width,
            "duration_kernels": stage.duration_kernels,
            "duration_expansion": stage.expansion,
            "noise": self.config.noise,
        }

    def blank(self) -> TeacherEncoder:
        """Of the student's shape, its weights to be loaded."""
        model = self.voice.stages["encoder"].model
        config = read_config(model, self.voice.name, **self._timing)
        return TeacherEncoder(thinner_encoder(config, self.stage.keep))

    def student(self) -> TeacherEncoder:  # type: ignore[override]
        """Pruned anew each time, the same for the same labels."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.stage.schedule.seed)
            encoder = read_encoder(self.voice.stages["encoder"].model, self.voice.name, **self._timing)
            self._refuse_other(encoder)
            worth = Fisher(encoder, self._nudges(encoder))
        example = {name: value[:1] for name, value in self.batch(0).items() if name in ("phonemes", "noise")}
        thin(encoder, example, encoder.widened, self.stage.keep, worth)
        encoder.config = thinner_encoder(encoder.config, self.stage.keep)
        return encoder.train()

    @torch.no_grad()
    def _refuse_other(self, encoder: TeacherEncoder) -> None:
        row = {name: torch.from_numpy(value)[None] for name, value in self._row(0).items()}
        refuse_other(encoder(row["phonemes"], row["noise"])[0], row["hidden"], self.voice, self.labels)

    def _nudges(self, encoder: TeacherEncoder) -> Iterator[Tensor]:
        """For each sample, the loss between the encoder's states and the same a little elsewhere."""
        items = self.stage.schedule.items
        for sample in range(SAMPLES):
            batch = self.batch(sample // items, sample % items, items)
            with torch.no_grad():
                hidden, durations = encoder(batch["phonemes"], batch["noise"])
            batch["hidden"] = hidden + NUDGE * torch.randn_like(hidden)
            yield self.loss(encoder, {**batch, "durations": durations}, 0)[0]


class PrunedVocoderTask(VocoderTask):
    """Latents to the teacher's own waveform by its own HiFi-GAN with channels taken out."""

    def __init__(self, stage: VocoderStage, labels: Labels, voice: StagedVoice | None) -> None:
        super().__init__(stage, labels)
        self.voice = required(voice, "vocoder")
        self.context = self.voice.stages["vocoder"].context
        self.overlap_add = nn.Identity()  # type: ignore[assignment]  # the student gives sound, not a spectrum
        if self.voice.speakers is not None:
            raise EdgevoiceError(f"{self.voice.name} has many speakers: its vocoder is not pruned here")

    def blank(self) -> HiFiGan:
        """Of the student's shape, its weights to be loaded."""
        model = self.voice.stages["vocoder"].model
        return HiFiGan(thinner_hifigan(read_hifigan_config(model, self.voice.name), self.stage.keep))

    def student(self) -> HiFiGan:  # type: ignore[override]
        """Pruned anew each time, the same for the same labels."""
        vocoder = read_hifigan(self.voice.stages["vocoder"].model, self.voice.name)
        self._refuse_other(vocoder)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.stage.schedule.seed)
            worth = Fisher(vocoder, self._nudges(vocoder))
        example = {"latents": self.batch(0, 0, self.stage.schedule.items)["latents"]}
        thin(vocoder, example, vocoder.widened, self.stage.keep, worth)
        vocoder.config = thinner_hifigan(vocoder.config, self.stage.keep)
        return vocoder.train()

    @torch.no_grad()
    def _refuse_other(self, vocoder: HiFiGan) -> None:
        batch = self.batch(0, 0, self.stage.schedule.items)
        refuse_other(
            vocoder(batch["latents"]) * batch["mask"], batch["audio"] * batch["mask"], self.voice, self.labels
        )

    def _nudges(self, vocoder: HiFiGan) -> Iterator[Tensor]:
        """For each sample, the loss between the vocoder's sound and the same with a little noise."""
        items = self.stage.schedule.items
        for sample in range(SAMPLES):
            batch = self.batch(sample // items, sample % items, items)
            with torch.no_grad():
                sound = vocoder(batch["latents"])
            yield self.loss(
                vocoder, {**batch, "audio": sound * (1 + HISS * torch.randn_like(sound))}, sample
            )[0]
