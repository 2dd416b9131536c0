"""Objects by their SHA-256: what the device has of a deploy already, and what arrives.

::

    ROOT/arriving/objects/SHA256        arrived and whole
    ROOT/arriving/objects/SHA256.part   arrived so far: the next deploy goes on from its end
    ROOT/arriving/bundle, kit           links to objects, under the names that bundle and kit give them
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, Iterator  # noqa: UP035 - Python 3.8 reads this too

from edgevoice.kit import install

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*\Z")


class Store:
    """The objects below one deployed folder. Nothing is taken for what its name says: all is hashed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.arriving = root / "arriving"
        self.objects = self.arriving / "objects"
        self.found: dict[str, Path] = {}

    def have(self, wanted: list[str]) -> dict[str, Any]:
        """Which of the wanted are here, and how many bytes of others; writes nothing."""
        left = {_checked(sha256) for sha256 in wanted} - set(self.found)
        for claimed, path in self._candidates():
            if claimed in left and _is_plain(path) and install.sha256(path) == claimed:
                self.found[claimed] = path
                left.discard(claimed)
        sizes = {sha256: _size(self._part(sha256)) for sha256 in left}
        return {"have": sorted(self.found), "parts": {sha256: size for sha256, size in sizes.items() if size}}

    def prepare(self, wanted: list[str]) -> None:
        """Make room: whatever an earlier deploy left and this one does not want goes."""
        self.objects.mkdir(parents=True, exist_ok=True)
        for path in self.objects.iterdir():
            if path.name[:64] not in wanted:
                path.unlink()

    def put(self, sha256: str, offset: int, data: bytes) -> None:
        """Append to an object that is arriving."""
        part = self._part(_checked(sha256))
        if _size(part) != offset:
            raise install.InstallError(
                f"{part.name} has {_size(part)} bytes here, not {offset}: deploy again"
            )
        with open(part, "ab") as stream:
            stream.write(data)

    def drop(self, sha256: str) -> None:
        """Forget what has arrived of an object: it is longer than it can be."""
        self._part(_checked(sha256)).unlink()

    def keep(self, sha256: str) -> bool:
        """Take an object that has arrived; False (and nothing kept) if it is not what it should be."""
        part = self._part(_checked(sha256))
        with open(part, "ab") as stream:
            os.fsync(stream.fileno())
        if install.sha256(part) != sha256:
            part.unlink()
            return False
        self.found[sha256] = part.with_suffix("")
        os.replace(part, self.found[sha256])
        return True

    def assemble(self, name: str, files: dict[str, str]) -> Path:
        """A folder of links to objects, under the files' own names."""
        place = self.arriving / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        for file, sha256 in files.items():
            if not _PLAIN.match(file):
                raise install.InstallError(f"unsafe file name {file!r}: nothing was done")
            _link(self.found[sha256], place / file)
        return place

    def clear(self) -> None:
        shutil.rmtree(self.arriving, ignore_errors=True)
        self.found.clear()

    def _part(self, sha256: str) -> Path:
        return self.objects / f"{sha256}.part"

    def _candidates(self) -> Iterator[tuple[str, Path]]:
        """Files and the SHA-256 that something claims of them."""
        for path in _listed(self.objects):
            yield path.name, path
        for release in _listed(self.root / "releases"):
            for name in (MANIFEST, SIGNATURE):
                if _is_plain(release / name):
                    yield install.sha256(release / name), release / name
            yield from _claims(release / MANIFEST, "files")
        for runtime in _listed(self.root / "runtimes"):
            if install.is_complete(runtime):
                yield from _claims(runtime / "kit" / install.LOCK, "wheels")


def _claims(listing: Path, key: str) -> Iterator[tuple[str, Path]]:
    try:
        rows = json.loads(listing.read_bytes())[key].items()
        claims = [(record["sha256"], listing.parent / name) for name, record in rows if _PLAIN.match(name)]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    yield from claims


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _size(path: Path) -> int:
    return path.stat().st_size if _is_plain(path) else 0


def _link(source: Path, destination: Path) -> None:
    try:
        os.link(source, destination)
    except OSError:  # no hard links here: a copy serves as well
        shutil.copyfile(source, destination)


def _checked(sha256: str) -> str:
    if not _SHA256.match(sha256):
        raise install.InstallError(f"{sha256!r} is no checksum: nothing was done")
    return sha256
