"""Tasks for a Kokoro teacher: its decoder from latents, phase and style; and its whole text side."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.distil.config import AcousticStage, DistilConfig, EncoderStage, VocoderStage, training_key
from compress.distil.tasks.base import Batch, Segments
from compress.distil.tasks.vocoder import VocoderTask
from compress.labels.basis import Basis, basis
from compress.labels.store import Labels
from compress.students.acoustic import ContourAcoustic, ContourConfig
from compress.students.encoder import Encoder, EncoderConfig
from compress.students.vocoder import TYPICAL_F0, VocoderConfig
from compress.teachers.kokoro_files import UNVOICED_BELOW
from edgevoice.runtime.source import pulses, source_spectrum
from edgevoice.runtime.spectrum import harmonic_phase


def student_latents(main: Basis, latents: NDArray[Any], f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """[512,F] and F0 [F] to what passes between the students: components, F0 in Hz, voicing; [M+2,F]."""
    return np.concatenate([main.reduce(latents), f0[None], voiced(f0)[None]])


def voiced(f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 where Kokoro's source gives a tone for this F0 in Hz, 0 where it gives noise."""
    return (f0 > UNVOICED_BELOW).astype(np.float32)


class DrivenVocoderTask(VocoderTask):
    """Latents, harmonic phase and style to the teacher's waveform."""

    def __init__(self, config: DistilConfig, stage: VocoderStage, labels: Labels) -> None:
        components = config.acoustic.latents if config.acoustic else 0
        self.key = training_key(config, "vocoder")
        self.basis = basis(labels.root, labels, components)
        super().__init__(stage, labels)

    def _config(self) -> VocoderConfig:
        return self._common(
            latents=len(self.basis.rows) + 2,
            phase=2 * self.stage.harmonics,
            speaker=self.labels.read(0, ["style"])["style"].shape[0],
        )

    def drive(self, utterance: int, start: int, stop: int) -> dict[str, NDArray[np.float32]]:
        fields = self.labels.read(utterance, ["f0", "style"])
        latents = self.labels.cut(utterance, "latents", start, stop)
        info, voicing = self.labels.info, voiced(fields["f0"])
        rate = info.sample_rate / info.hop
        phase, _ = harmonic_phase(fields["f0"], voicing, 0.0, self.stage.harmonics, rate)
        driven = {
            "latents": student_latents(self.basis, latents, fields["f0"][start:stop]),
            "phase": phase[:, start:stop],
            "speaker": fields["style"],
        }
        if self.stage.source:
            train = pulses(fields["f0"], voicing, 0.0, info.hop, info.sample_rate)
            waves = source_spectrum(train, start, stop, self.stage.n_fft)
            driven["source"] = np.concatenate([waves.real, waves.imag])
        return driven


class TextSide(nn.Module):
    """Encoder and acoustic student together, and a head that ties the encoder to the teacher's own states."""

    def __init__(self, encoder: Encoder, acoustic: ContourAcoustic, states: int) -> None:
        super().__init__()
        self.encoder, self.acoustic = encoder, acoustic
        self.tie = nn.Conv1d(encoder.config.hidden, states, 1)

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Durations [B,T], latents [B,M+2,F], states [B,C,T]."""
        hidden, durations = self.encoder(
            batch["phonemes"], speaker=batch["speaker"], present=batch["present"]
        )
        places = batch["places"][:, None].expand(-1, hidden.shape[1], -1)
        return durations, self.acoustic(hidden.gather(2, places), batch["speaker"]), self.tie(hidden)


class TextTask:
    """Phonemes and style to durations and latents; encoder and acoustic student learn together."""

    def __init__(
        self, config: DistilConfig, stage: AcousticStage, encoder: EncoderStage, labels: Labels
    ) -> None:
        self.key = training_key(config, "text")
        self.stage, self.labels = stage, labels
        self.basis = basis(labels.root, labels, stage.latents)
        self.segments = Segments(labels, stage.schedule.frames, stage.schedule.seed)
        sizes = {name: value.shape[0] for name, value in labels.read(0, ["style", "text", "prosody"]).items()}
        self.states = sizes["text"] + sizes["prosody"]
        self.encoder_config = EncoderConfig(
            symbols=256,
            hidden=encoder.hidden,
            width=encoder.width,
            expansion=encoder.expansion,
            kernels=encoder.kernels,
            attention_after=encoder.attention_after,
            heads=encoder.heads,
            duration_width=encoder.duration_width,
            duration_kernels=encoder.duration_kernels,
            speaker=sizes["style"],
        )
        self.acoustic_config = ContourConfig(
            hidden=encoder.hidden,
            latents=stage.latents,
            speaker=sizes["style"],
            width=stage.width,
            expansion=stage.expansion,
            input_kernel=stage.input_kernel,
            kernels=stage.kernels,
        )
        self.context = ContourAcoustic(self.acoustic_config).context

    def student(self) -> TextSide:
        return TextSide(Encoder(self.encoder_config), ContourAcoustic(self.acoustic_config), self.states)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        """``places`` int64 [B,F]: the phoneme that each frame of the segment belongs to."""
        drawn = self.segments.draw(step, self.stage.schedule.items, self.context)[rank::ranks]
        rows = [self._row(utterance, start) for utterance, start in drawn]
        longest = max(len(row["phonemes"]) for row in rows)
        batch = {}
        for name in rows[0]:
            values = [row[name] for row in rows]
            if name in ("phonemes", "present", "durations", "states"):
                values = [_padded(value, longest) for value in values]
            batch[name] = torch.from_numpy(np.stack(values))
        batch["mask"] = torch.from_numpy(self.segments.mask(drawn, self.context))
        return batch

    def _row(self, utterance: int, start: int) -> dict[str, NDArray[Any]]:
        stop = start + self.segments.frames
        names = ["phonemes", "durations", "repeats", "text", "prosody", "f0", "style"]
        row = self.labels.read(utterance, names)
        count = len(row["phonemes"])
        latents = self.labels.cut(utterance, "latents", start, stop)
        return {
            "phonemes": row["phonemes"].astype(np.int64),
            "present": np.ones(count, np.float32),
            "durations": row["durations"],
            "states": np.concatenate([row["text"], row["prosody"]]).astype(np.float32),
            "places": np.repeat(np.arange(count), row["repeats"])[start:stop],
            "latents": student_latents(self.basis, latents, row["f0"][start:stop]),
            "speaker": row["style"],
        }

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        durations, latents, states = student(batch)
        present, mask, target = batch["present"], batch["mask"], batch["latents"]
        voiced = target[:, -1] * mask
        gap = torch.log(durations) - torch.log(batch["durations"].clamp(min=0.1))
        pitch = torch.log(latents[:, -2]) - torch.log(target[:, -2].clamp(min=UNVOICED_BELOW))
        miss = nn.functional.binary_cross_entropy(
            latents[:, -1].clamp(1e-5, 1 - 1e-5), target[:, -1], reduction="none"
        )
        parts = {
            "timing": _mean(gap.abs(), present),
            "latents": _mean((latents[:, :-2] - target[:, :-2]).abs().mean(1), mask),
            "pitch": _mean(pitch.abs(), voiced),
            "voicing": _mean(miss, mask),
            "states": _mean((states - batch["states"]).abs().mean(1), present),
        }
        total = (
            parts["timing"] + 2 * parts["latents"] + 5 * parts["pitch"] + parts["voicing"] + parts["states"]
        )
        return total, {name: value.detach() for name, value in parts.items()}


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    """Mean over items of each item's weighted mean; [B,L] both."""
    return ((value * weight).sum(1) / weight.sum(1).clamp(min=1.0)).mean()


def _padded(value: NDArray[Any], length: int) -> NDArray[Any]:
    widths = [(0, 0)] * (value.ndim - 1) + [(0, length - value.shape[-1])]
    return np.pad(value, widths)


__all__ = ["TYPICAL_F0", "DrivenVocoderTask", "TextSide", "TextTask", "student_latents"]
