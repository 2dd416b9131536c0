"""What labelling needs of a teacher, whatever voice is behind it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Utterance = dict[str, NDArray[np.generic]]
"""One sentence as the teacher said it, field by field.

Common to all teachers: ``phonemes`` int16 [T]; ``durations`` f32 [T], frames before rounding; ``latents``
f16 [M,F]; ``audio`` int16 [F*hop]. The rest is the teacher's own, named in its class. Of sampled inputs the
``seed`` is kept.
"""


class Teacher(Protocol):
    """A voice that can be asked for labels.

    ``identity``: SHA-256 over everything that shapes its answers. ``full_scale``: the sample value that the
    largest 16-bit integer of its audio stands for. ``noise``: channels and scale of each sampled input.
    """

    name: str
    identity: str
    sample_rate: int
    hop: int
    full_scale: float
    noise: dict[str, tuple[int, float]]

    def phonemes(self, text: str) -> NDArray[np.int64]:
        """Ids [T] of one sentence; empty where there is nothing to say or more than the teacher takes."""
        ...

    def speak(self, phonemes: NDArray[np.int64], seed: int, audio: bool = True) -> Utterance:
        """Say ``phonemes``; everything sampled, the choice of a speaker included, follows from ``seed``.

        Without ``audio`` that field is left out, and the vocoder's work with it.
        """
        ...


def to_int16(wave: NDArray[np.floating]) -> NDArray[np.int16]:
    """Samples in -1..1 as 16-bit integers, clipped."""
    samples: NDArray[np.int16] = np.round(np.clip(wave, -1.0, 1.0) * 32767.0).astype(np.int16)
    return samples


def normal(seed: int, stream: int, shape: tuple[int, ...], scale: float) -> NDArray[np.float32]:
    """Standard-normal numbers times ``scale``, the same for a seed and stream on every machine."""
    rng = np.random.default_rng((seed, stream))
    numbers: NDArray[np.float32] = rng.standard_normal(shape, dtype=np.float32)
    numbers *= np.float32(scale)
    return numbers
