"""Kokoro-82M as a teacher that gives labels, in its default voice, the others and mixtures of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from compress.teachers import kokoro_files
from compress.teachers.base import Utterance, to_int16
from compress.teachers.kokoro_cut import Cut
from compress.teachers.kokoro_files import (
    ENDS,
    FRAMES_PER_UNIT,
    FRONT_END,
    HOP,
    LANGUAGE,
    SAMPLE_RATE,
    Files,
)
from compress.teachers.staged import session
from edgevoice.text import normalise, phonemizer

FULL_SCALE = 2.0
"""Its samples pass 1.0 now and then; labels keep what a player would clip."""
MAX_PHONEMES = 300
MIXTURE = 5


class KokoroTeacher:
    """Fields beside the common ones: ``repeats`` int16 [T], frames of each phoneme; ``text`` f16 [512,T] and
    ``prosody`` f16 [640,T], the text side's two outputs; ``f0`` (Hz) and ``energy`` f32 [F]; ``latents`` f16
    [512,F], the generator's input; ``style`` f32 [256].

    The voice is drawn from the seed: the default one in 40 of 100 utterances, each other one in 10, else a
    mixture. A style row depends on the number of phonemes, as in Kokoro's own code.
    """

    name = "kokoro"
    sample_rate, hop, full_scale = SAMPLE_RATE, HOP, FULL_SCALE

    def __init__(self, files: Files, front_end: str = FRONT_END) -> None:
        self.noise: dict[str, tuple[int, float]] = {}
        cut = Cut(files.graph(), files.where)
        self._cut, self._taps, self._sound = cut, vars(cut.taps), cut.model.graph.output[0].name
        self._voices, self._default = files.voices, files.default_voice
        self.table = files.table
        self._phonemizer = phonemizer(front_end, LANGUAGE)
        digest = files.digest()
        digest.update(repr((self.table, front_end, MIXTURE, MAX_PHONEMES)).encode())
        self.identity = digest.hexdigest()

    def phonemes(self, text: str) -> NDArray[np.int64]:
        ids, _ = self.table.encode(self._phonemizer.phonemize(normalise(text, LANGUAGE)))
        return ids if 3 < len(ids) <= MAX_PHONEMES else ids[:0]

    def style(self, weights: Mapping[str, float], phonemes: int) -> NDArray[np.float32]:
        """The style vector [256] of a mixture of voices for so many phonemes."""
        total = sum(weights.values())
        rows = [
            self._voices[name][min(phonemes, len(self._voices[name])) - 1] * share / total
            for name, share in weights.items()
        ]
        style: NDArray[np.float32] = np.sum(rows, axis=0, dtype=np.float32)
        return style

    def draw(self, seed: int) -> dict[str, float]:
        """Voices and their shares for a seed."""
        rng = np.random.default_rng((seed, 2))
        others = sorted(set(self._voices) - {self._default})
        kind = rng.random()
        if kind < 0.4 or not others:
            return {self._default: 1.0}
        if kind < 0.8:
            return {others[rng.integers(len(others))]: 1.0}
        chosen = rng.permutation(sorted(self._voices))[: rng.integers(2, 4)]
        shares = rng.dirichlet([1.0] * len(chosen))
        return {str(name): float(share) for name, share in zip(chosen, shares, strict=True)}

    @cached_property
    def _whole(self) -> ort.InferenceSession:
        return session(self._cut.with_taps())

    @cached_property
    def _silent(self) -> ort.InferenceSession:
        self.__dict__.pop("_whole", None)  # the first shards alone have audio
        return session(self._cut.without_generator())

    def speak(self, phonemes: NDArray[np.int64], seed: int, audio: bool = True) -> Utterance:
        return self.speak_as(phonemes, self.style(self.draw(seed), len(phonemes) - ENDS), audio)

    def speak_as(
        self, phonemes: NDArray[np.int64], style: NDArray[np.float32], audio: bool = True
    ) -> Utterance:
        """Say ids [T], zeros at both ends included, in one style [256]."""
        inputs: dict[str, Any] = {
            "tokens": phonemes[None],
            "style": style[None],
            "speed": np.ones(1, np.float32),
        }
        names = {**self._taps, **({"audio": self._sound} if audio else {})}
        answers = (self._whole if audio else self._silent).run(list(names.values()), inputs)
        out = dict(zip(names, answers, strict=True))
        units = np.maximum(np.round(out["durations"][0]), 1)
        said: Utterance = {
            "phonemes": phonemes.astype(np.int16),
            "durations": (out["durations"][0] * FRAMES_PER_UNIT).astype(np.float32),
            "repeats": (units * FRAMES_PER_UNIT).astype(np.int16),
            "text": _columns(out["text"][0], len(phonemes)),
            "prosody": _columns(out["prosody"][0], len(phonemes)),
            "f0": out["f0"].reshape(-1),
            "energy": out["energy"].reshape(-1),
            "latents": out["latents"][0].astype(np.float16),
            "style": style,
        }
        if audio:
            said["audio"] = to_int16(out["audio"].reshape(-1) / FULL_SCALE)
        return said


def _columns(states: NDArray[np.float32], phonemes: int) -> NDArray[np.float16]:
    """[C,T], whichever way round the graph's matrix product took it."""
    turned = states.shape[1] != phonemes
    return (states.T if turned else states).astype(np.float16)


@lru_cache(maxsize=1)
def kokoro_teacher(folder: Path | None = None, front_end: str = FRONT_END) -> KokoroTeacher:
    """The teacher made of the packaged files, or of a user's own export in ``folder``."""
    return KokoroTeacher(kokoro_files.read(folder), front_end)
