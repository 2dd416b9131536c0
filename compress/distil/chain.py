"""Labelled utterances said again with students in place of some of the teacher's stages.

Durations and noise are the teacher's own, so that the sounds have the same length and differ by nothing but
the stages. What comes before the first student is read from the labels; only what comes after one is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.distil.tasks.kokoro import student_latents
from compress.distil.tasks.piper import frame_noise, spread
from compress.labels.basis import Basis
from compress.labels.store import Labels
from compress.staged import StagedVoice
from compress.students.vocoder import OverlapAdd
from compress.teachers.base import normal
from compress.teachers.staged import DURATION_NOISE, session
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES
from edgevoice.runtime.spectrum import harmonic_phase

Float = NDArray[np.float32]


class Chain(Protocol):
    def say(self, index: int) -> Float:
        """Samples f32 [F*hop] of one utterance."""
        ...

    def durations(self, index: int) -> Float | None:
        """The student's own durations [T], or None where the teacher's encoder is kept."""
        ...


def make_chain(
    students: Mapping[str, nn.Module],
    said: Labels,
    teacher: StagedVoice | None = None,
    basis: Basis | None = None,
) -> Chain:
    """``students`` by stage; ``teacher`` is needed where one of its stages comes after a student."""
    if said.info.noise:
        return PiperChain(students, said, teacher)
    return KokoroChain(students, said, basis)


class PiperChain:
    """Stages of a voice that samples: encoder, acoustic model, vocoder."""

    def __init__(self, students: Mapping[str, nn.Module], said: Labels, teacher: StagedVoice | None) -> None:
        self._said, self._students = said, dict(students)
        if unknown := set(students) - set(STAGES):
            raise EdgevoiceError(f"{said.info.teacher} has no stage {sorted(unknown)[0]}")
        first = min(place for place, stage in enumerate(STAGES) if stage in students)
        missing = [stage for stage in STAGES[first:] if stage not in students]
        if missing and teacher is None:
            raise EdgevoiceError(f"the teacher's {missing[0]} comes after a student: name it with --teacher")
        self._teacher = {stage: session(teacher.stages[stage].model) for stage in missing if teacher}

    def say(self, index: int) -> Float:
        latents = self._latents(index)
        if "vocoder" in self._students:
            return sound(self._students["vocoder"], self._said.info.hop, latents=latents)
        (wave,) = self._teacher["vocoder"].run(None, {"latents": latents[None]})
        return np.asarray(wave.reshape(-1), np.float32)

    def durations(self, index: int) -> Float | None:
        if "encoder" not in self._students:
            return None
        return self._encoded(index)[1]

    def _latents(self, index: int) -> Float:
        if not {"encoder", "acoustic"} & set(self._students):
            return self._said.read(index, ["latents"])["latents"].astype(np.float32)
        frames = self.frames(index)
        noise = frame_noise(self._said, index, 0, frames.shape[1])
        if "acoustic" in self._students:
            return run(self._students["acoustic"], frames=frames, noise=noise)[0]
        (latents,) = self._teacher["acoustic"].run(None, {"frames": frames[None], "noise": noise[None]})
        return np.asarray(latents[0], np.float32)

    def frames(self, index: int) -> Float:
        """Hidden states [H,F] spread by the teacher's durations."""
        fields = self._said.read(index, ["hidden", "durations"])
        hidden = self._encoded(index)[0] if "encoder" in self._students else fields["hidden"]
        return spread(hidden, fields["durations"])

    def _encoded(self, index: int) -> tuple[Float, Float]:
        phonemes = self._said.read(index, ["phonemes"])["phonemes"].astype(np.int64)
        channels, scale = self._said.info.noise["encoder"]
        shape = (1, int(channels), len(phonemes))
        noise = normal(self._said.entries[index].seed, DURATION_NOISE, shape, scale)[0]
        hidden, durations = run(self._students["encoder"], phonemes=phonemes, noise=noise)
        return hidden, durations


class KokoroChain:
    """Text side and vocoder; Kokoro's own generator does not take the few components of a student."""

    def __init__(self, students: Mapping[str, nn.Module], said: Labels, basis: Basis | None) -> None:
        if "vocoder" not in students:
            raise EdgevoiceError("a student of Kokoro's text side is heard through a student of its vocoder")
        if "text" not in students and basis is None:
            raise EdgevoiceError("Kokoro's vocoder alone needs the labels that it was trained on")
        self._said, self._basis = said, basis
        self._vocoder, self._text = students["vocoder"], students.get("text")

    def say(self, index: int) -> Float:
        latents, info = self._latents(index), self._said.info
        harmonics = int(self._vocoder.config.phase) // 2  # type: ignore[union-attr, arg-type]
        phase, _ = harmonic_phase(latents[-2], latents[-1], 0.0, harmonics, info.sample_rate / info.hop)
        style = self._said.read(index, ["style"])["style"]
        return sound(self._vocoder, info.hop, latents=latents, phase=phase, speaker=style)

    def durations(self, index: int) -> Float | None:
        return None if self._text is None else self._spoken(index)[0]

    def _latents(self, index: int) -> Float:
        if self._text is not None:
            return self._spoken(index)[1]
        assert self._basis is not None
        fields = self._said.read(index, ["latents", "f0"])
        return student_latents(self._basis, fields["latents"], fields["f0"])

    def _spoken(self, index: int) -> tuple[Float, Float]:
        """Durations [T] and latents [M+2,F] at the teacher's durations."""
        row = self._said.read(index, ["phonemes", "repeats", "style"])
        count = len(row["phonemes"])
        batch = {
            "phonemes": torch.from_numpy(row["phonemes"].astype(np.int64))[None],
            "places": torch.from_numpy(np.repeat(np.arange(count), row["repeats"]))[None],
            "speaker": torch.from_numpy(row["style"])[None],
            "present": torch.ones(1, count),
        }
        assert self._text is not None
        with torch.no_grad():
            durations, latents, _ = self._text(batch)
        return durations[0].numpy(), latents[0].numpy()


def run(student: nn.Module, **inputs: NDArray[Any]) -> list[Float]:
    """The student's answers for one utterance, without their batch axis."""
    tensors = {name: torch.from_numpy(np.ascontiguousarray(value))[None] for name, value in inputs.items()}
    with torch.no_grad():
        answers = student(**tensors)
    answers = answers if isinstance(answers, tuple) else (answers,)
    return [answer[0].numpy() for answer in answers]


def sound(vocoder: nn.Module, hop: int, **inputs: NDArray[Any]) -> Float:
    """Samples [F*hop] of a vocoder student, whether it answers with a spectrum or with a waveform."""
    (answer,) = run(vocoder, **inputs)
    if answer.ndim == 1:
        return answer
    spectrum: Tensor = torch.from_numpy(answer)[None]
    samples: Float = OverlapAdd(answer.shape[0] - 2, hop)(spectrum)[0].numpy()
    return samples
