"""A self-test process whose voice is as good or as bad as its first argument says; it loads no engine."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgevoice.deploy import selftest
from edgevoice.deploy.selftest import Sound
from edgevoice.errors import EdgevoiceError

RATE = 22050


def tone(seconds: float, level: float = 0.3) -> Sound:
    return (level * np.sin(np.arange(round(seconds * RATE)) * 0.05)).astype(np.float32)


class Voice:
    sample_rate, remark = RATE, ""

    def __init__(self, mood: str) -> None:
        self.mood = mood

    def stream(self, text: str) -> Iterator[Sound]:
        if self.mood == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if self.mood == "hangs":
            time.sleep(60)
        if self.mood == "greedy":
            kept = np.ones(400_000_000, np.uint8)
            time.sleep(0.2)
            del kept
        if self.mood == "raises":
            raise ZeroDivisionError("no frames")
        if self.mood == "endless":
            while True:
                yield tone(1)
        yield tone(2)


def load(mood: str, folder: Path) -> Voice:
    if mood == "unloadable":
        raise EdgevoiceError("the engine refused the file")
    if mood == "chatty":
        print("a library greets", end="")
    if mood == "waits":
        (folder / "self-test.pid").write_text(str(os.getpid()), encoding="ascii")
        time.sleep(60)
    return Voice(mood)


if __name__ == "__main__":
    sys.exit(selftest.main(sys.argv[2:], load=lambda folder, _: load(sys.argv[1], folder)))
