"""kokoro-onnx (MIT; its phonemes by espeak-ng, GPL): the voice's file as it is. One chunk a sentence.

Of the packaged voice it speaks the default one, as a student's bundle does.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.ear import Float
from benchmarks.engines import library
from edgevoice import text as front

SAMPLE_RATE = 24_000
VOICE = "jm_kumo"
SENTENCE_LIMIT = 300


def prepare(voice: Path, scratch: Path) -> Path:
    """Write the model and the voices of ``voice``, a folder or the name `kokoro`, into ``scratch``/kokoro."""
    from compress.teachers import kokoro_files  # not in the measured process: it imports onnx

    library("kokoro_onnx", "kokoro-onnx")
    read = kokoro_files.read(None if str(voice) == kokoro_files.PACKAGED else voice)
    folder = scratch / "kokoro"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(read.model)
    (folder / "vocab.json").write_text(json.dumps({"vocab": dict(read.vocabulary)}), encoding="utf-8")
    rows = {name: styles[:, None] for name, styles in read.voices.items()}
    np.savez(folder / "voices.npz", **rows)  # type: ignore[arg-type]
    return folder


class Kokoro:
    def __init__(self, folder: Path, threads: int) -> None:
        kokoro = library("kokoro_onnx", "kokoro-onnx")
        ort = library("onnxruntime", "onnxruntime")
        # Its own session leaves the thread count to ONNX Runtime, which takes all cores.
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        session = ort.InferenceSession(str(folder / "model.onnx"), options, ["CPUExecutionProvider"])
        voices, symbols = str(folder / "voices.npz"), str(folder / "vocab.json")
        self._kokoro = kokoro.Kokoro.from_session(session, voices, vocab_config=symbols)
        self.sample_rate = SAMPLE_RATE
        self.about = f"{version('kokoro-onnx')} (onnxruntime {ort.__version__}, sentences by edgevoice)"

    def speak(self, text: str, seed: int, hear: Callable[[Float], None]) -> None:
        asyncio.run(self._stream(text, hear))

    async def _stream(self, text: str, hear: Callable[[Float], None]) -> None:
        # It cuts a text only where it would be too long for the model: sentence by sentence its first sound
        # comes earlier. Trimming would cut silence out after it was computed.
        for sentence in front.sentences(front.clean(text, lambda _: None), "en-us", SENTENCE_LIMIT):
            async for samples, _ in self._kokoro.create_stream(sentence, VOICE, trim=False):
                hear(samples)


def load(path: Path, threads: int) -> Kokoro:
    return Kokoro(path, threads)
