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
from edgevoice.manifest import STAGES, StageName
from edgevoice.runtime.source import pulses, shaped, source_spectrum
from edgevoice.runtime.spectrum import harmonic_phase, overlap_add

Float = NDArray[np.float32]


class Chain(Protocol):
    def latents(self, index: int, start: int, stop: int) -> Float:
        """Latents [M,stop-start] as the students before the vocoder give them."""
        ...

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

    def __init__(
        self, students: Mapping[str, nn.Module], said: Labels, teacher: StagedVoice | None = None
    ) -> None:
        if unknown := set(students) - set(STAGES):
            raise EdgevoiceError(f"{said.info.teacher} has no stage {sorted(unknown)[0]}")
        self._said, self._students, self._voice = said, dict(students), teacher
        self._sessions: dict[StageName, Any] = {}

    def say(self, index: int) -> Float:
        latents = self.latents(index, 0, self._said.entries[index].frames)
        if "vocoder" in self._students:
            return sound(self._students["vocoder"], self._said.info.hop, latents=latents)
        return self._teacher("vocoder", latents=latents).reshape(-1)

    def durations(self, index: int) -> Float | None:
        return self._encoded(index)[1] if "encoder" in self._students else None

    def latents(self, index: int, start: int, stop: int) -> Float:
        if not {"encoder", "acoustic"} & set(self._students):
            return self._said.cut(index, "latents", start, stop).astype(np.float32)
        frames, student = self._frames(index), self._students.get("acoustic")
        context = getattr(student, "context", None)  # the teacher's is not known here
        reach = frames.shape[1] if context is None else int(context)
        left, right = max(0, start - reach), min(frames.shape[1], stop + reach)
        inputs = {"frames": frames[:, left:right], "noise": frame_noise(self._said, index, left, right)}
        made = self._teacher("acoustic", **inputs) if student is None else run(student, **inputs)[0]
        return made[:, start - left : stop - left]

    def _frames(self, index: int) -> Float:
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

    def _teacher(self, stage: StageName, **inputs: Float) -> Float:
        if self._voice is None:
            raise EdgevoiceError(f"the teacher's {stage} comes after a student: name it with --teacher")
        if stage not in self._sessions:
            self._sessions[stage] = session(self._voice.stages[stage].model)
        (answer,) = self._sessions[stage].run(None, {name: value[None] for name, value in inputs.items()})
        return np.asarray(answer[0], np.float32)


class KokoroChain:
    """Text side and vocoder; Kokoro's own generator does not take the few components of a student."""

    def __init__(self, students: Mapping[str, nn.Module], said: Labels, basis: Basis | None = None) -> None:
        if "text" not in students and basis is None:
            raise EdgevoiceError("Kokoro's vocoder alone needs the labels that it was trained on")
        self._said, self._basis = said, basis
        self._vocoder, self._text = students.get("vocoder"), students.get("text")

    def say(self, index: int) -> Float:
        if self._vocoder is None:
            raise EdgevoiceError("Kokoro's text side is heard through a student of its vocoder: name both")
        info = self._said.info
        latents = self.latents(index, 0, self._said.entries[index].frames)
        harmonics = int(self._vocoder.config.phase) // 2  # type: ignore[union-attr, arg-type]
        phase, _ = harmonic_phase(latents[-2], latents[-1], 0.0, harmonics, info.sample_rate / info.hop)
        style = self._said.read(index, ["style"])["style"]
        inputs = {"latents": latents, "phase": phase, "speaker": style}
        if not self._vocoder.config.source:  # type: ignore[union-attr]
            return sound(self._vocoder, info.hop, **inputs)
        (answer,) = run(self._vocoder, **inputs)
        train = pulses(latents[-2], latents[-1], 0.0, info.hop, info.sample_rate)
        waves = source_spectrum(train, 0, latents.shape[1], answer.shape[0] // 2 - 2)
        return overlap_add(shaped(answer, waves), info.hop)

    def durations(self, index: int) -> Float | None:
        return None if self._text is None else self._spoken(index)[0]

    def latents(self, index: int, start: int, stop: int) -> Float:
        """Components, F0 and voicing [M+2,stop-start]."""
        if self._text is not None:
            return self._spoken(index)[1][:, start:stop]
        assert self._basis is not None
        fields = self._said.read(index, ["latents", "f0"])
        return student_latents(self._basis, fields["latents"], fields["f0"])[:, start:stop]

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
