"""A peer that needs no voice: the file name of its "voice" says how it behaves."""

from __future__ import annotations

import os
import sys
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevoice.errors import EdgevoiceError

RATE = 8000


def prepare(voice: Path, scratch: Path) -> Path:
    if voice.stem == "unprepared":
        raise EdgevoiceError("No module named 'fake': pip install fake, or leave it out with --engines")
    return voice


class Fake:
    sample_rate = RATE
    about = "1.0"

    def __init__(self, mood: str) -> None:
        self.mood = mood
        self._pool = ThreadPoolExecutor(2)

    def speak(self, text: str, seed: int, hear: Callable[[NDArray[np.float32]], None]) -> None:
        if self.mood == "crashes":
            print("fake: cannot allocate", file=sys.stderr, flush=True)
            os._exit(3)
        if self.mood == "greedy":
            both = [self._pool.submit(_work) for _ in range(2)]
            _ = [one.result() for one in both]
        level = 0.0 if self.mood == "mute" else 0.3
        tone = np.full(RATE // 5, level, np.float32)
        hear(np.zeros(RATE // 10, np.float32))
        hear(tone)
        hear(tone)


def _work() -> None:
    end = time.thread_time() + 0.02
    block = bytes(1 << 20)
    while time.thread_time() < end:
        zlib.crc32(block)  # lets go of the interpreter


def load(path: Path, threads: int) -> Fake:
    print("a library greets")
    if path.stem == "unloadable":
        raise ValueError("this voice is of another kind")
    return Fake(path.stem)
