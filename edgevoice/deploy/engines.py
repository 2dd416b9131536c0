"""A release's engines are built before it is heard, and go with the last release that they are of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice import bundle
from edgevoice.deploy.layout import Folder, installed
from edgevoice.deploy.lock import saying_what_speaks
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Manifest
from edgevoice.options import Wish
from edgevoice.runtime import choice

if TYPE_CHECKING:
    from edgevoice.runtime.engines.tensorrt.cache import Machine


def build(made: Manifest, place: Path, folder: Folder, wish: Wish, note: Callable[[str], None]) -> str:
    """Build what the release in ``place`` needs on this device; why it will do without, or empty.

    Raises `EdgevoiceError` where ``wish`` is "tensorrt" and it cannot be had.
    """
    if not choice.tries_gpu(made, wish):
        return ""  # and nothing heavy is imported
    from edgevoice.runtime.engines.select import ready

    with saying_what_speaks(folder):
        return ready(bundle.read(place, verify=False), wish, note)


def prune(folder: Folder, note: Callable[[str], None]) -> None:
    """Remove the engines of releases that are gone, and those of a former TensorRT or JetPack; what prevents
    it is noted: the new one speaks already."""
    if not folder.engines.is_dir():
        return
    from edgevoice.runtime.engines.tensorrt.cache import Cache

    names = set(installed(folder))
    hashes: set[str] = set()
    for name in names:
        try:
            made = bundle.read(folder.release(name), verify=False)
        except EdgevoiceError:
            return  # whatever it is that it needs
        hashes |= {record.sha256 for record in made.manifest.files.values()}
    try:
        Cache(folder.engines).prune(names, hashes, _here())
    except (EdgevoiceError, OSError) as error:
        note(f"engines of former releases stay until the next deploy: {error}")


def _here() -> Machine | None:
    """What engines are built for here now; None where none can be: what is there may serve later."""
    from edgevoice.runtime.engines import cuda
    from edgevoice.runtime.engines.tensorrt import library
    from edgevoice.runtime.engines.tensorrt.cache import machine

    try:
        return None if cuda.probe() else machine(library.load(), cuda.load().device())
    except EdgevoiceError:
        return None
