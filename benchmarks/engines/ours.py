"""edgevoice itself, through its public interface."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.ear import Float
from edgevoice.manifest import Chunks


def prepare(voice: Path, scratch: Path) -> Path:
    """``voice`` is a bundle or a deployed folder, taken as it is."""
    return voice


class Ours:
    def __init__(self, bundle: Path, threads: int, chunks: Chunks | None = None) -> None:
        from edgevoice.runtime.voice import Voice

        self._voice, self._chunks = Voice.load(bundle, threads, own_process=True), chunks
        self.sample_rate = self._voice.sample_rate
        stages = self._voice.bundle.manifest.stages
        precisions = ", ".join(f"{name} {_precision(row.chosen)}" for name, row in stages.items())
        self.about = f"{version('edgevoice')} ({precisions})"

    def speak(self, text: str, seed: int, hear: Callable[[Float], None]) -> None:
        # No pause: silence between sentences would count as audio made. The peers are not trimmed either.
        for chunk in self._voice.stream(text, seed=seed, pause=0.0, trim=False, chunks=self._chunks):
            hear(chunk)


def _precision(file: str) -> str:
    return ".".join(file.split(".")[1:-1])


def load(path: Path, threads: int, first: int = 0, long: int = 0) -> Ours:
    """``first``, ``long``: chunk lengths in frames in place of the manifest's."""
    return Ours(path, threads, Chunks(first, long) if first else None)
