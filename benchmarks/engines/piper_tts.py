"""piper-tts (GPL-3.0-or-later): the voice file as it is. One chunk a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.ear import Float
from benchmarks.engines import library


def prepare(voice: Path, scratch: Path) -> Path:
    library("piper", "piper-tts")
    return voice


class Piper:
    def __init__(self, voice: Path, threads: int) -> None:
        piper = library("piper", "piper-tts")
        ort = library("onnxruntime", "onnxruntime")
        config = library("piper.config", "piper-tts").PiperConfig
        # PiperVoice.load leaves the thread count to ONNX Runtime, which takes all cores: so its two parts are
        # made here, the same but for that.
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        session = ort.InferenceSession(str(voice), options, ["CPUExecutionProvider"])
        settings = json.loads(Path(f"{voice}.json").read_text(encoding="utf-8"))
        self._voice = piper.PiperVoice(session=session, config=config.from_dict(settings))
        self.sample_rate = int(settings["audio"]["sample_rate"])
        self.about = f"{version('piper-tts')} (onnxruntime {ort.__version__})"

    def speak(self, text: str, seed: int, hear: Callable[[Float], None]) -> None:
        for chunk in self._voice.synthesize(text):
            hear(chunk.audio_float_array)


def load(path: Path, threads: int) -> Piper:
    return Piper(path, threads)
