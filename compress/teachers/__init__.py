"""Voices that can be read, each kind in modules of its own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from compress.staged import StagedVoice
from compress.teachers import kokoro_files
from compress.teachers.base import Teacher
from edgevoice.errors import EdgevoiceError

KINDS = (
    "a Piper voice (NAME.onnx with NAME.onnx.json beside it), a Kokoro voice's folder, or "
    f"{kokoro_files.PACKAGED!r}, the packaged one"
)


def read(path: str | Path) -> StagedVoice:
    """Read the voice at ``path``, or the packaged one of that name, and cut it into stages.

    `EdgevoiceError` if it is of no known kind.
    """
    file = _found(Path(path))
    if is_kokoro(file):
        from compress.teachers import kokoro_stages

        return kokoro_stages.read(_folder(file))
    from compress.teachers import piper

    return piper.read(file)


def maker(path: str | Path) -> Callable[[], Teacher]:
    """What makes the voice at ``path`` a teacher that gives labels, in any process."""
    file = _found(Path(path))
    if is_kokoro(file):
        return _kokoro_maker(_folder(file))
    from compress.teachers.staged import piper_teacher

    return partial(piper_teacher, file)


def maker_of(voice: StagedVoice) -> Callable[[], Teacher]:
    """The same, for a voice that was read."""
    # The packaged one has no path: by its name a folder that was made since would be taken for it.
    return _kokoro_maker(None) if voice.source is None else maker(voice.source)


def _kokoro_maker(folder: Path | None) -> Callable[[], Teacher]:
    from compress.teachers.kokoro import kokoro_teacher

    return partial(kokoro_teacher, folder)


def _found(file: Path) -> Path:
    """The voice's file, or the folder or name of a Kokoro voice."""
    if is_kokoro(file):
        return file
    if file.is_dir():
        file = _only_voice(file)
    if not file.exists():
        raise EdgevoiceError(f"{file} does not exist: name {KINDS}")
    if file.suffix != ".onnx":
        raise EdgevoiceError(f"{file} is no voice that edgevoice reads: name {KINDS}")
    return file


def is_kokoro(file: Path) -> bool:
    """Whether it is a Kokoro voice's folder, or the name of the packaged one and no path."""
    if file.is_dir():
        return kokoro_files.is_folder_of_one(file)
    return str(file) == kokoro_files.PACKAGED and not file.exists()


def _folder(file: Path) -> Path | None:
    return file if file.is_dir() else None


def _only_voice(folder: Path) -> Path:
    found = sorted(folder.glob("*.onnx"))
    if len(found) != 1:
        raise EdgevoiceError(f"{folder} holds {len(found)} .onnx files: name the voice's file itself")
    return found[0]
