"""When does a listener hear something? One definition for every engine."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

SILENCE = 10 ** (-50 / 20)
"""Of full scale, -50 dBFS: samples below it at the beginning are leading silence."""

ENOUGH_SECONDS = 0.05


class Ear:
    """Hears one utterance arrive, chunk by chunk.

    The first sound is the arrival of the chunk with which 50 ms of sound behind the leading silence are
    there. An engine that sends a tiny or a silent chunk ahead gains nothing by it; one that delivers whole
    sentences has its first sound when the sentence arrives.
    """

    def __init__(self, sample_rate: int) -> None:
        self.samples = 0
        self.first_sound: float | None = None
        self.first_sound_cpu: float | None = None
        self._rate = sample_rate
        self._sounding = 0
        self._begun_cpu: float | None = None
        self._slack = float("inf")
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def hear(self, chunk: Float) -> None:
        """``chunk``: f32 [n] in [-1, 1]."""
        wall, cpu = time.perf_counter(), time.process_time()
        self._time_left(cpu)
        self.samples += len(chunk)
        if self.first_sound is not None:
            return
        self._sounding += _behind_silence(chunk) if self._sounding == 0 else len(chunk)
        if self._sounding >= ENOUGH_SECONDS * self._rate:
            self.first_sound, self.first_sound_cpu = wall - self._wall, cpu - self._cpu

    def _time_left(self, cpu: float) -> None:
        """While this chunk was made, the ones before it sounded."""
        if self._begun_cpu is None:
            self._begun_cpu = cpu
        elif cpu > self._begun_cpu:
            self._slack = min(self._slack, self.samples / self._rate / (cpu - self._begun_cpu))

    def end(self) -> dict[str, float]:
        """Seconds: first_sound and wall as passed, first_sound_cpu and cpu of this process, audio made.

        slack: how many times slower the machine might be with no gap between the chunks; 0 for one chunk.
        Raises ValueError where nothing was heard: such an engine has not spoken.
        """
        wall, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        if self._sounding == 0:
            raise ValueError(f"{self.samples} samples came, none of them above -50 dBFS")
        return {
            "first_sound": wall if self.first_sound is None else self.first_sound,
            "first_sound_cpu": cpu if self.first_sound_cpu is None else self.first_sound_cpu,
            "wall": wall,
            "cpu": cpu,
            "audio": self.samples / self._rate,
            "slack": 0.0 if self._slack == float("inf") else self._slack,
        }


def _behind_silence(chunk: Float) -> int:
    """Samples from the first one that is no silence."""
    sounding = np.abs(chunk) >= SILENCE
    return len(chunk) - int(np.argmax(sounding)) if sounding.any() else 0
