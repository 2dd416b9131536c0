"""A voice cut into the contract's stages (any Piper voice) as a teacher that gives labels."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from compress.staged import StagedVoice
from compress.teachers.base import Utterance, normal, to_int16
from edgevoice.text import normalise, phonemizer

MAX_PHONEMES = 500
DURATION_NOISE, FRAME_NOISE = 0, 1


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """One thread: labelling runs one process a core instead."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class StagedTeacher:
    """Fields beside the common ones: ``hidden`` f16 [H,T] (a Piper voice: mean over log-deviation) and
    ``latents`` f16 [M,F]. Noise: `frame_noise` of the utterance's seed; it is not stored.
    """

    def __init__(self, voice: StagedVoice) -> None:
        self.name = voice.name
        self.sample_rate, self.hop, self.full_scale = voice.sample_rate, voice.hop, 1.0
        self.identity = hashlib.sha256(repr(self._settings(voice)).encode()).hexdigest()
        self.noise: dict[str, tuple[int, float]] = {
            name: (stage.noise.channels, stage.noise.scale)
            for name, stage in voice.stages.items()
            if stage.noise
        }
        self._voice = voice
        self._stages = {name: session(stage.model) for name, stage in voice.stages.items()}
        self._phonemizer = phonemizer(voice.text.phonemizers[0], voice.text.language)

    @staticmethod
    def _settings(voice: StagedVoice) -> tuple[object, ...]:
        noise = [(name, stage.noise and stage.noise.scale) for name, stage in sorted(voice.stages.items())]
        return voice.sha256, voice.text.phonemizers[0], voice.text.language, noise, MAX_PHONEMES

    def phonemes(self, text: str) -> NDArray[np.int64]:
        words = normalise(text, self._voice.text.language)
        ids, _ = self._voice.table.encode(self._phonemizer.phonemize(words))
        return ids if 3 < len(ids) <= MAX_PHONEMES else ids[:0]

    def speak(self, phonemes: NDArray[np.int64], seed: int, audio: bool = True) -> Utterance:
        noise = self._noise("encoder", seed, DURATION_NOISE, len(phonemes))
        hidden, durations = self._run("encoder", noise, phonemes=phonemes[None])
        frames = np.repeat(hidden, np.maximum(np.ceil(durations[0]), 1).astype(np.int64), axis=2)
        noise = self._noise("acoustic", seed, FRAME_NOISE, frames.shape[2])
        (latents,) = self._run("acoustic", noise, frames=frames)
        said: Utterance = {
            "phonemes": phonemes.astype(np.int16),
            "durations": durations[0],
            "hidden": hidden[0].astype(np.float16),
            "latents": latents[0].astype(np.float16),
        }
        if audio:
            (waveform,) = self._run("vocoder", None, latents=latents)
            said["audio"] = to_int16(waveform.reshape(-1))
        return said

    def _noise(self, stage: Any, seed: int, stream: int, length: int) -> NDArray[np.float32] | None:
        noise = self._voice.stages[stage].noise
        return None if noise is None else normal(seed, stream, (1, noise.channels, length), noise.scale)

    def _run(
        self, stage: Any, noise: NDArray[np.float32] | None, **inputs: NDArray[Any]
    ) -> list[NDArray[Any]]:
        if noise is not None:
            inputs["noise"] = noise
        if "speaker" in self._voice.stages[stage].takes and self._voice.speakers is not None:
            inputs["speaker"] = self._voice.speakers[:1]
        outputs: list[NDArray[Any]] = self._stages[stage].run(None, inputs)
        return outputs


@lru_cache(maxsize=1)
def piper_teacher(path: Path) -> StagedTeacher:
    """The Piper voice at ``path``, its configuration beside it."""
    from compress.teachers import piper

    return StagedTeacher(piper.read(path))
