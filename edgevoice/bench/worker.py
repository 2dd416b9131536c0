"""The process that is measured: load, speak once cold, then warm runs; prints one JSON object."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

START = time.perf_counter()

from edgevoice.bench import TEXTS  # noqa: E402
from edgevoice.deploy.selftest import peak_bytes  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402
from edgevoice.manifest import STAGES  # noqa: E402
from edgevoice.options import Wish, required  # noqa: E402
from edgevoice.runtime.engines import Array, Engine  # noqa: E402
from edgevoice.runtime.voice import Voice  # noqa: E402


class _Timed:
    """An engine that adds up the time it takes."""

    def __init__(self, engine: Engine) -> None:
        self.inputs, self._engine, self.seconds = engine.inputs, engine, 0.0

    def run(self, feeds: Mapping[str, Array]) -> list[Any]:
        start = time.perf_counter()
        outputs = self._engine.run(feeds)
        self.seconds += time.perf_counter() - start
        return outputs


def speak(voice: Voice, text: str) -> tuple[float, float, float]:
    """Seconds to the first chunk, seconds in all, seconds of audio."""
    start = time.perf_counter()
    first = samples = 0.0
    for sound in voice.stream(text):
        first = first or time.perf_counter() - start
        samples += len(sound)
    return first, time.perf_counter() - start, samples / voice.sample_rate


def main(bundle: str, threads: int, runs: int, engine: Wish = "") -> dict[str, Any]:
    voice = Voice.load(Path(bundle), threads, own_process=True, engine=engine)
    loaded = time.perf_counter()
    first, _, _ = speak(voice, TEXTS["middle"])
    result: dict[str, Any] = {
        "load": 1000 * (loaded - START),
        "first_sound": 1000 * (loaded - START + first),
        "peak_mib": peak_bytes() / (1 << 20),
        "host": f"{platform.machine()}, Python {platform.python_version()}",
    }
    if runs:
        result.update(warm=_warm(voice, runs), shares=_shares(voice))
    # At the end: a GPU that fails meanwhile hands over to the CPU, and the figures are the CPU's then.
    return {**result, "engines": voice.engines, "remark": voice.remark}


def _warm(voice: Voice, runs: int) -> dict[str, dict[str, list[float]]]:
    rows: dict[str, dict[str, list[float]]] = {}
    for name, text in TEXTS.items():
        speak(voice, text)
        measured = [speak(voice, text) for _ in range(runs)]
        rows[name] = {
            "first_sound": [1000 * first for first, _, _ in measured],
            "rtf": [total / audio for _, total, audio in measured],
            "audio": [1000 * audio for _, _, audio in measured],
        }
    return rows


def _shares(voice: Voice) -> dict[str, float]:
    plain = voice.stages
    timed = {name: _Timed(getattr(plain, name)) for name in STAGES}
    voice.stages = replace(
        plain, encoder=timed["encoder"], acoustic=timed["acoustic"], vocoder=timed["vocoder"]
    )
    _, total, _ = speak(voice, TEXTS["long"])
    voice.stages = plain
    shares: dict[str, float] = {name: engine.seconds / total for name, engine in timed.items()}
    return {**shares, "text and host": 1 - sum(shares.values())}


if __name__ == "__main__":
    try:
        wish = map(required, sys.argv[4:])
        print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *wish)))
    except EdgevoiceError as error:
        sys.exit(str(error))
