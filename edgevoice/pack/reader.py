"""Take a pack apart, trusting nothing in it. Standard library only: it travels inside packs too."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import IO, Any, Iterator  # noqa: UP035 - Python 3.8 reads this too, to be told that it is too old

HEAD = b"#\xff coding: this-pack-was-cut-short--copy-the-whole-file-again\n"
"""What `python3 FILE` says of a pack that was cut, for it finds no zip's end and reads Python instead.

The byte that is no UTF-8 is for a file that ends within this line. A file of one byte, or none, is silent.
"""
INDEX = "pack.json"
FORMAT = 1
CODE = (
    "__main__.py",
    "edgevoice/__init__.py",
    "edgevoice/pack/__init__.py",
    "edgevoice/pack/incoming.py",
    "edgevoice/pack/reader.py",
)
"""What `python3 FILE ROOT` runs."""
PLACES = ("bundle", "kit")

LARGEST_INDEX = 1 << 20
LARGEST_DIRECTORY = 1 << 20
PEEK_BYTES = len(HEAD) + 30 + len(INDEX) + LARGEST_INDEX
"""The index is the first entry and within these bytes."""

_NAME = re.compile(rf"(?:{'|'.join(PLACES)})/[A-Za-z0-9][A-Za-z0-9._+-]*\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_UTF8_NAME = 0x800
_AGAIN = "copy or download the whole file again"
_BROKEN = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, struct.error)


class PackError(Exception):
    """One line for the user."""


class Pack:
    """A pack whose table of contents was checked; its entries are checked as they are read.

    ``index``: what `pack.json` says. ``files``: by name of each other entry, its SHA-256 and size.
    """

    def __init__(self, path: Path, stream: IO[bytes], size: int) -> None:
        self.path = path
        if stream.read(len(HEAD)) != HEAD:
            raise PackError(f"{path} is no pack: make one with `edgevoice pack`, or {_AGAIN}")
        try:
            _check_end(stream, size)
            self._zip = zipfile.ZipFile(stream)
            self._entries = _entries(self._zip, size)
            self.index = parse_index(self._read(INDEX))
        except (*_BROKEN, KeyError):
            raise PackError(f"{path} is cut short or damaged: {_AGAIN}") from None
        self.files: dict[str, dict[str, Any]] = self.index["files"]
        if {INDEX, *self.files} != set(self._entries):
            raise PackError(f"{path} holds other files than its index names: it was altered, {_AGAIN}")

    def names(self, place: str) -> list[str]:
        """The plain names of the files under ``place``."""
        return [name.partition("/")[2] for name in self.files if name.startswith(f"{place}/")]

    def bytes_of(self, place: str) -> int:
        return sum(self.files[f"{place}/{name}"]["bytes"] for name in self.names(place))

    def data(self, name: str) -> bytes:
        """A small entry, checked."""
        return b"".join(self._blocks(name))

    def check(self, name: str) -> None:
        for _ in self._blocks(name):
            pass

    def extract(self, place: str, folder: Path) -> Path:
        """Write what lies under ``place`` into the new ``folder``, each file checked as it is written."""
        folder.mkdir()
        for name in self.names(place):
            with open(folder / name, "xb") as stream:
                for block in self._blocks(f"{place}/{name}"):
                    stream.write(block)
        return folder

    def _blocks(self, name: str) -> Iterator[bytes]:
        record, digest, size = self.files[name], hashlib.sha256(), 0
        try:
            with self._zip.open(self._entries[name]) as entry:
                while block := entry.read(1 << 20):
                    digest.update(block)
                    size += len(block)
                    yield block
        except _BROKEN:
            raise PackError(f"{self.path} is damaged in {name}: {_AGAIN}") from None
        except OSError as error:
            raise PackError(f"cannot read {self.path}: {error.strerror or error}") from None
        if (size, digest.hexdigest()) != (record["bytes"], record["sha256"]):
            raise PackError(f"{self.path} was altered in {name}: {_AGAIN}")

    def _read(self, name: str) -> bytes:
        entry = self._entries[name]
        if entry.file_size > LARGEST_INDEX:
            raise ValueError(name)
        return self._zip.read(entry)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Pack]:
    """Open a pack and check its table of contents. Raises `PackError`, one line that says what to do."""
    try:
        # Not to wait for ever on what is no file but a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        raise PackError(f"cannot read {path}: {error.strerror}") from None
    try:
        size = _plain_size(path, descriptor)
    except PackError:
        os.close(descriptor)
        raise
    with os.fdopen(descriptor, "rb") as stream:
        try:
            pack = Pack(path, stream, size)
        except OSError as error:
            raise PackError(f"cannot read {path}: {error.strerror or error}") from None
        yield pack


def parse_index(raw: bytes) -> dict[str, Any]:
    """What `pack.json` says. Raises ValueError for what is none, `PackError` for one of another format."""
    try:
        index = json.loads(raw)
        if index["format"] != FORMAT:
            raise PackError(
                f"the pack has format {index['format']!r}, this edgevoice reads {FORMAT}: update edgevoice"
            )
        names, serial = index["files"], index["serial"]
        sound = _SHA256.match(index["release"]) and isinstance(index["voice"], str) and type(serial) is int
        if not sound or not all(_fits(name, record) for name, record in names.items()):
            raise ValueError("no index")
    except (KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError("no index") from None
    found: dict[str, Any] = index
    return found


def peek(head: bytes) -> dict[str, Any] | None:
    """The index at the beginning of a pack, unproven; None if ``head`` ends before it does.

    Raises ValueError where no pack begins.
    """
    at = len(HEAD) + _LOCAL.size
    if not HEAD.startswith(head[: len(HEAD)]):
        raise ValueError("no pack")
    if len(head) < at + len(INDEX):
        return None
    fields = _LOCAL.unpack(head[len(HEAD) : at])
    size, name_length, extra = fields[8], fields[9], fields[10]
    if fields[0] != b"PK\3\4" or head[at : at + name_length] != INDEX.encode() or size > LARGEST_INDEX:
        raise ValueError("no pack")
    at += name_length + extra
    return parse_index(head[at : at + size]) if len(head) >= at + size else None


def _plain_size(path: Path, descriptor: int) -> int:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise PackError(f"{path} is no file: name a pack")
    return found.st_size


def _check_end(stream: IO[bytes], size: int) -> None:
    """Bound the directory before `zipfile` reads it whole; packs end where the zip does."""
    stream.seek(max(0, size - _END.size))
    mark, _, _, _, count, length, _, comment = _END.unpack(stream.read(_END.size))
    if mark != b"PK\5\6" or comment or length > LARGEST_DIRECTORY or count == 0xFFFF:
        raise ValueError("no end")


def _entries(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    found: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        kind = stat.S_IFMT(entry.external_attr >> 16)
        plain = entry.compress_type == zipfile.ZIP_STORED and not entry.flag_bits & ~_UTF8_NAME
        if not plain or kind not in (0, stat.S_IFREG) or entry.file_size != entry.compress_size:
            raise ValueError(entry.filename)
        if entry.filename in found:
            raise ValueError(f"{entry.filename} twice")
        found[entry.filename] = entry
    if sum(entry.file_size for entry in found.values()) > size:
        raise ValueError("entries overlap")
    return found


def _fits(name: str, record: dict[str, Any]) -> bool:
    known = bool(_NAME.match(name)) or name in CODE
    size = record["bytes"]
    return known and bool(_SHA256.match(record["sha256"])) and type(size) is int and size >= 0
