"""edgevoice's own wheel, made from the code that runs: no build tools, no network, always the same bytes."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path, PurePosixPath

from edgevoice.errors import EdgevoiceError

# The oldest time that a zip archive can hold: the wheel's bytes depend on nothing but its content.
EPOCH = (1980, 1, 1, 0, 0, 0)
METADATA = ("METADATA", "entry_points.txt", "top_level.txt")


def make(folder: Path, name: str = "edgevoice") -> Path:
    """Write the wheel of the installed, pure Python distribution ``name`` into ``folder``."""
    found = _installed(name)
    info = f"{name}-{found.version}.dist-info"
    content = {path.as_posix(): source.read_bytes() for path, source in sorted(_packages(found))}
    content |= {f"{info}/{file}": text.encode() for file, text in sorted(_metadata(found))}
    content[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: edgevoice\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{path},sha256={_digest(data)},{len(data)}\n" for path, data in content.items())
    content[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    place = folder / f"{name}-{found.version}-py3-none-any.whl"
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, data)
    return place


def _installed(name: str) -> Distribution:
    """A build in place leaves an ``egg-info`` in the tree, which is older than what is installed."""
    for found in Distribution.discover(name=name):
        if found.read_text("METADATA"):
            return found
    raise EdgevoiceError(f"{name} runs without being installed: run `pip install .` in its folder")


def _packages(found: Distribution) -> Iterator[tuple[PurePosixPath, Path]]:
    for package in (found.read_text("top_level.txt") or "").split():
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            raise EdgevoiceError(f"the installed {found.name} lacks its package {package}: install it again")
        home = Path(spec.submodule_search_locations[0])
        for path in home.rglob("*"):
            if path.is_file() and path.suffix != ".pyc" and "__pycache__" not in path.parts:
                yield PurePosixPath(package, *path.relative_to(home).parts), path


def _metadata(found: Distribution) -> Iterator[tuple[str, str]]:
    licences = [f"licenses/{name}" for name in found.metadata.get_all("License-File") or ()]
    for name in (*METADATA, *licences):
        text = found.read_text(name)
        if text is not None:
            yield name, text


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
