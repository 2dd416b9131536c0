"""sherpa-onnx 2 (Apache-2.0): a copy of the voice with the metadata that it reads. One chunk a sentence.

Version 2 has no espeak-ng of its own and takes phonemes, so it gets edgevoice's front end; its time counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.ear import Float
from benchmarks.engines import library
from edgevoice import text as front
from edgevoice.errors import EdgevoiceError

SENTENCE_LIMIT = 300


def prepare(voice: Path, scratch: Path) -> Path:
    """Write the copy, its tokens and its settings into ``scratch``/sherpa; returns the copy."""
    _check_version()
    onnx = library("onnx", "onnx")
    settings = json.loads(Path(f"{voice}.json").read_text(encoding="utf-8"))
    folder = scratch / "sherpa"
    folder.mkdir()
    model = onnx.load(str(voice))
    onnx.helper.set_model_props(model, _metadata(settings))
    onnx.save(model, str(folder / "voice.onnx"))
    rows = (f"{symbol} {ids[0]}\n" for symbol, ids in settings["phoneme_id_map"].items())
    (folder / "tokens.txt").write_text("".join(rows), encoding="utf-8")
    (folder / "voice.onnx.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder / "voice.onnx"


def _check_version() -> None:
    library("sherpa_onnx", "sherpa-onnx")
    found = version("sherpa-onnx")
    if int(found.split(".")[0]) < 2:
        raise EdgevoiceError(f"sherpa-onnx {found} takes no phonemes: pip install 'sherpa-onnx>=2'")


def _metadata(settings: dict[str, object]) -> dict[str, str]:
    audio, espeak = settings["audio"], settings["espeak"]
    assert isinstance(audio, dict)
    assert isinstance(espeak, dict)
    return {
        "model_type": "vits",
        "comment": "piper",
        "language": str(espeak["voice"]),
        "voice": str(espeak["voice"]),
        "has_espeak": "1",
        "n_speakers": str(settings.get("num_speakers", 1)),
        "sample_rate": str(audio["sample_rate"]),
    }


class Sherpa:
    def __init__(self, voice: Path, threads: int) -> None:
        self._sherpa = sherpa = library("sherpa_onnx", "sherpa-onnx")
        settings = json.loads(Path(f"{voice}.json").read_text(encoding="utf-8"))
        noise = settings["inference"]
        vits = sherpa.OfflineTtsVitsModelConfig(
            model=str(voice),
            tokens=str(voice.with_name("tokens.txt")),
            noise_scale=noise["noise_scale"],
            noise_scale_w=noise["noise_w"],
            length_scale=noise["length_scale"],
        )
        model = sherpa.OfflineTtsModelConfig(vits=vits, num_threads=threads, provider="cpu")
        self._tts = sherpa.OfflineTts(sherpa.OfflineTtsConfig(model=model, max_num_sentences=1))
        self._language = str(settings["espeak"]["voice"])
        self._phonemizer = front.phonemizer("espeak", self._language)
        self.sample_rate = int(self._tts.sample_rate)
        self.about = f"{version('sherpa-onnx')} (phonemes by edgevoice, silence_scale 1)"

    def speak(self, text: str, seed: int, hear: Callable[[Float], None]) -> None:
        def heard(samples: Float, progress: float) -> int:
            hear(samples)
            return 1  # go on

        config = self._sherpa.GenerationConfig()
        config.phoneme_codepoints = [[ord(symbol) for symbol in line] for line in self._phonemes(text)]
        config.silence_scale = 1.0  # its default, 0.2, cuts pauses out after they were computed
        self._tts.generate("", config, callback=heard)

    def _phonemes(self, text: str) -> list[str]:
        clean = front.clean(text, lambda _: None)
        spoken = front.sentences(clean, self._language, SENTENCE_LIMIT)
        return [self._phonemizer.phonemize(front.normalise(line, self._language)) for line in spoken]


def load(path: Path, threads: int) -> Sherpa:
    return Sherpa(path, threads)
