"""Where the voice lies that a user names: a bundle, a deployed folder, or the voice in the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edgevoice.bundle import MANIFEST
from edgevoice.errors import EdgevoiceError


def find(voice: str | Path | None) -> Path:
    """The bundle for ``voice``: a bundle's folder, a deployed folder, a name in the package, or None.

    Raises `EdgevoiceError` where there is none.
    """
    if voice is None:
        return _packaged("default", "there is no voice in this package yet: name one with --voice, or run `make demo`")
    path = Path(voice)
    if (path / MANIFEST).is_file():
        return path
    if (path / "current" / MANIFEST).is_file():
        return path / "current"
    if path.exists():
        raise EdgevoiceError(f"{path} is neither a bundle nor a deployed folder: it has no {MANIFEST}")
    return _packaged(str(voice), f"{voice} does not exist: name a bundle or a deployed folder")


def _packaged(name: str, otherwise: str) -> Path:
    path = Path(str(files("edgevoice"))) / "voices" / name
    if not (path / MANIFEST).is_file():
        raise EdgevoiceError(otherwise)
    return path
