"""One module an engine. An engine is added by a module with these two functions and a row in ``ENGINES``.

    prepare(voice, scratch) -> Path   in the parent: what the engine needs, made from the voice file
    load(path, threads) -> Speaker    in the measured process; imports the engine's library itself

Whatever makes an engine impossible here is an `EdgevoiceError` that says what to do.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from benchmarks.ear import Float
from edgevoice.errors import EdgevoiceError

ENGINES = {
    "edgevoice": "benchmarks.engines.ours",
    "piper-tts": "benchmarks.engines.piper_tts",
    "sherpa-onnx": "benchmarks.engines.sherpa",
    "kokoro-onnx": "benchmarks.engines.kokoro_onnx",
}

DEFAULT = ("edgevoice", "piper-tts", "sherpa-onnx")
OF_KOKORO = ("edgevoice", "kokoro-onnx")
"""Those that are compared unless others are named: whose model the voice is."""

OURS = "edgevoice"


class Speaker(Protocol):
    """A loaded engine. ``about``: its version, and whatever sets it apart from its defaults."""

    sample_rate: int
    about: str

    def speak(self, text: str, seed: int, hear: Callable[[Float], None]) -> None:
        """Say ``text``, from letters to samples, and call ``hear`` for every chunk as soon as it is there."""
        ...


@dataclass(frozen=True)
class Contestant:
    """One engine with one voice: a column of the table. ``path`` and ``options``: what ``load`` gets."""

    name: str
    module: str
    path: Path
    options: Mapping[str, int] = field(default_factory=dict)
    ours: bool = False


def library(name: str, package: str) -> Any:
    """The module ``name``; raises `EdgevoiceError` that names the package to install."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EdgevoiceError(f"{error}: pip install {package}, or leave it out with --engines") from None
