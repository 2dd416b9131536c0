"""Voices that can be read, each kind in a module of its own."""

from __future__ import annotations

from pathlib import Path

from compress.staged import StagedVoice
from edgevoice.errors import EdgevoiceError


def read(path: str | Path) -> StagedVoice:
    """Read the voice at ``path`` and cut it into stages; `EdgevoiceError` if it is of no known kind."""
    from compress.teachers import piper

    file = Path(path)
    if file.is_dir():
        file = _only_voice(file)
    if not file.exists():
        raise EdgevoiceError(f"{file} does not exist: name a voice, NAME.onnx with NAME.onnx.json beside it")
    if file.suffix != ".onnx":
        raise EdgevoiceError(f"{file} is no voice that edgevoice reads: name a Piper voice, NAME.onnx")
    return piper.read(file)


def _only_voice(folder: Path) -> Path:
    found = sorted(folder.glob("*.onnx"))
    if len(found) != 1:
        raise EdgevoiceError(f"{folder} holds {len(found)} .onnx files: name the voice's file itself")
    return found[0]
