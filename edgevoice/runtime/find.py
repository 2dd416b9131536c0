"""Where the voice lies that a user names: a bundle, a deployed folder, or a voice in the package."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edgevoice import bundle
from edgevoice.bundle import MANIFEST
from edgevoice.deploy.layout import is_deployed, mend, resolve, root_of
from edgevoice.errors import EdgevoiceError
from edgevoice.signing.check import require

DEFAULT = "kokoro"
"""The voice that comes with the package: `edgevoice/voices/kokoro`."""


def find(voice: str | Path | None) -> Path:
    """The bundle for ``voice``: a bundle's folder, a deployed folder, a name in the package, or None.

    Raises `EdgevoiceError` where there is none.
    """
    if voice is None:
        return _packaged(
            DEFAULT, "this install has lost its own voice: install edgevoice again, or name one with --voice"
        )
    try:
        found = _on_disk(Path(voice))
    except OSError as error:
        raise EdgevoiceError(f"cannot read {voice}: {error.strerror}") from None
    return found or _packaged(str(voice), f"{voice} does not exist: name a bundle or a deployed folder")


def read(voice: str | Path | None, verify: bool = True) -> bundle.Bundle:
    """The bundle that `find` finds, checked; what is wrong with a release says how to mend a release.

    A release is also one by its own path or by the link `current`: keys of its folder count there too.
    """
    path = find(voice)
    root = root_of(path.resolve())
    try:
        found = bundle.read(path, verify)
    except bundle.Damaged as error:
        if root is None:
            raise
        raise EdgevoiceError(f"{error.fault}: {mend(root)}") from None
    if root is not None:
        require(root, found)
    return found


def _on_disk(path: Path) -> Path | None:
    if (path / MANIFEST).is_file():
        return path
    if is_deployed(path):
        return resolve(path)
    if path.is_file() and path.name.endswith(bundle.VOICE_FILES):
        raise EdgevoiceError(bundle.uncompressed(path))
    if path.exists():
        raise EdgevoiceError(f"{path} is neither a bundle nor a deployed folder: it has no {MANIFEST}")
    return None


def _packaged(name: str, otherwise: str) -> Path:
    path = Path(str(files("edgevoice"))) / "voices" / name
    if Path(name).name != name or not (path / MANIFEST).is_file():
        raise EdgevoiceError(otherwise)
    return path
