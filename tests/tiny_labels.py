"""A teacher that answers at once, its labels, and recipes so small that training takes a second."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from compress.labels.make import label
from compress.labels.store import Labels
from compress.teachers.base import Utterance, normal

HOP, RATE, LATENTS = 16, 1600, 4
SENTENCES = [f"Sentence number {n} of the tiny teacher." for n in range(90)]


class TinyTeacher:
    """Says n phonemes for n words; its sound is a sine whose loudness is in the latents."""

    name = "tiny"
    sample_rate, hop, full_scale = RATE, HOP, 1.0

    def __init__(self, version: str = "1") -> None:
        self.identity = hashlib.sha256(version.encode()).hexdigest()
        self.noise: dict[str, tuple[int, float]] = {"encoder": (2, 0.8), "acoustic": (LATENTS, 0.667)}

    def phonemes(self, text: str) -> NDArray[np.int64]:
        return np.array([len(word) for word in text.split()], np.int64)

    def speak(self, phonemes: NDArray[np.int64], seed: int, audio: bool = True) -> Utterance:
        durations = normal(seed, 0, (len(phonemes),), 1.0) ** 2 + 5
        frames = int(np.ceil(durations).sum())
        latents = normal(seed, 1, (LATENTS, frames), 1.0)
        wave = np.sin(np.arange(frames * HOP) * 0.2) * np.repeat(np.tanh(latents[0]), HOP) * 0.5
        heard = {"audio": (wave * 32767).astype(np.int16)} if audio else {}
        return {
            "phonemes": phonemes.astype(np.int16),
            "durations": durations,
            "hidden": normal(seed, 2, (2 * LATENTS, len(phonemes)), 0.3).astype(np.float16),
            "latents": latents.astype(np.float16),
            **heard,
        }


def tiny_labels(root: Path, version: str = "1", count: int = len(SENTENCES)) -> Labels:
    label(partial(TinyTeacher, version), SENTENCES[:count], "tiny", root)
    return Labels(root)
