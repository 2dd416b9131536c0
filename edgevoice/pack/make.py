"""Write a bundle, and a kit where one is given, as one file."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files as resources
from pathlib import Path
from typing import IO

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.reader import CODE, FORMAT, HEAD, INDEX
from edgevoice.progress import track
from edgevoice.runtime.find import find

SUFFIX = ".edgevoice"
LARGEST = 4_000_000_000
"""Bytes: what a stick's FAT file system holds in one file, and a zip without extensions."""

_SOURCES = {"__main__.py": "starter.py", "edgevoice/__init__.py": ""}
_EPOCH = (1980, 1, 1, 0, 0, 0)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Packed:
    """``release``: the whole id of the bundle. ``kit``: whether a runtime travels too."""

    path: Path
    voice: str
    release: str
    serial: int
    signed: bool
    kit: bool
    bytes: int


def pack(bundle_path: str | Path, output: str | Path, kit: str | Path | None = None) -> Packed:
    """Check the bundle and write it to the file ``output``: all of it or nothing.

    ``kit``: a folder of `edgevoice kit`. An older pack at ``output`` is replaced; other files are refused.
    The same bundle and kit give the same bytes.
    """
    found, target = bundle.read(find(bundle_path)), Path(output).absolute()
    try:
        _refuse_foreign(target)
        sources = _bundle_files(found) | _code() | (_kit_files(Path(kit)) if kit else {})
        size = sum(source.stat().st_size for source in sources.values() if isinstance(source, Path))
        if size > LARGEST:
            raise EdgevoiceError(f"{size / 1e9:.1f} GB do not fit into one pack: leave out the kit")
        _write(target, found, sources)
        size = target.stat().st_size
    except OSError as error:
        raise EdgevoiceError(f"cannot write {error.filename or target}: {error.strerror or error}") from None
    voice, serial = found.manifest.voice.name, found.manifest.serial
    return Packed(Path(output), voice, found.id, serial, found.signature is not None, bool(kit), size)


Sources = dict[str, "Path | bytes"]


def _bundle_files(found: bundle.Bundle) -> Sources:
    names = [bundle.MANIFEST, *([bundle.SIGNATURE] if found.signature else []), *sorted(found.manifest.files)]
    return {f"bundle/{name}": found.file(name) for name in names}


def _code() -> Sources:
    home = resources("edgevoice.pack")
    names = {name: _SOURCES.get(name, name.rpartition("/")[2]) for name in CODE}
    return {name: home.joinpath(file).read_bytes() if file else b"" for name, file in names.items()}


def _kit_files(path: Path) -> Sources:
    """The lock file and the wheels that it names, with the installer as it is here: the lock names none."""
    from edgevoice.kit import install
    from edgevoice.kit.make import read

    kit = read(path)
    installer = Path(install.__file__).read_bytes()
    lock: Sources = {f"kit/{install.LOCK}": kit.path / install.LOCK, "kit/install.py": installer}
    return lock | {f"kit/{name}": kit.path / name for name in sorted(kit.wheels)}


def _refuse_foreign(target: Path) -> None:
    if target.is_dir():
        raise EdgevoiceError(f"{target} is a folder: name a file, such as {target / f'voice{SUFFIX}'}")
    if target.exists() and target.stat().st_size:
        with open(target, "rb") as stream:
            if stream.read(len(HEAD)) != HEAD:
                raise EdgevoiceError(f"{target} exists and is no pack: name another file or remove it")


def _write(target: Path, found: bundle.Bundle, sources: Sources) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.new-", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _fill(stream, found, sources)
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(OSError):  # a stick's file system may have no modes
            os.chmod(name, 0o644)
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)
    bundle.sync_folder(target.parent)


def _fill(stream: IO[bytes], found: bundle.Bundle, sources: Sources) -> None:
    records = {name: _record(source) for name, source in sources.items()}
    for name, record in found.manifest.files.items():
        if records[f"bundle/{name}"]["sha256"] != record.sha256:
            raise EdgevoiceError(f"{found.path} changed while it was packed: pack it again")
    index = {
        "format": FORMAT,
        "voice": found.manifest.voice.name,
        "release": found.id,
        "serial": found.manifest.serial,
        "files": records,
    }
    stream.write(HEAD)
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        _add(archive, INDEX, json.dumps(index, indent=1, sort_keys=True).encode())
        for name in track(list(sources), "packing files"):
            _add(archive, name, sources[name])


def _record(source: Path | bytes) -> dict[str, object]:
    if isinstance(source, bytes):
        return {"sha256": hashlib.sha256(source).hexdigest(), "bytes": len(source)}
    return {"sha256": bundle.sha256(source), "bytes": source.stat().st_size}


def _add(archive: zipfile.ZipFile, name: str, source: Path | bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
    with archive.open(entry, "w") as stream:
        if isinstance(source, bytes):
            stream.write(source)
            return
        with open(source, "rb") as file:
            while block := file.read(_BLOCK):
                stream.write(block)
