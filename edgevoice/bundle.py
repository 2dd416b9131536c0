"""Read, check and write a bundle: the folder that travels from the workstation to the device."""

from __future__ import annotations

import ctypes
import hashlib
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice import staging
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import SCHEMA, STAGES, File, Manifest, StageName, Variant

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.sig"
"""May lie beside the manifest; `edgevoice.signing` makes and checks it."""

VOICE_FILES = (".onnx", ".onnx.json")
"""How the files of a trained Piper voice end."""

_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")


class Damaged(EdgevoiceError):
    """A bundle that is not whole. ``fault``: what is wrong, without the advice that the message ends with."""

    def __init__(self, fault: str, advice: str) -> None:
        super().__init__(f"{fault}: {advice}")
        self.fault = fault


@dataclass(frozen=True)
class Bundle:
    """A checked bundle: what it says of itself, and where it lies."""

    path: Path
    manifest: Manifest
    id: str
    """SHA-256 of the manifest, which holds the SHA-256 of every file."""

    def file(self, name: str) -> Path:
        return self.path / name

    @property
    def signature(self) -> Path | None:
        """The signature's file where the bundle has one; reading a bundle does not check it."""
        path = self.path / SIGNATURE
        return path if path.is_file() and not path.is_symlink() else None

    def variant(self, stage: StageName) -> Variant:
        """The file that the bundle chose for ONNX Runtime."""
        return self.manifest.stages[stage].speaks


def read(path: str | Path, verify: bool = True) -> Bundle:
    """Read the bundle in folder ``path`` and check all of it.

    Raises `EdgevoiceError` for anything missing, altered, unknown or unsafe. ``verify=False`` leaves out the
    checksums of the large files, for a release that was checked when it was installed.
    """
    root = Path(path)
    try:
        raw = _manifest_bytes(root)
        manifest = decode(raw, root)
        _check_names(manifest, root)
        _check_references(manifest, root)
        for name, record in manifest.files.items():
            _check_file(root / name, record, verify)
    except OSError as error:
        raise EdgevoiceError(f"cannot read {error.filename or root}: {error.strerror}") from None
    return Bundle(root, manifest, hashlib.sha256(raw).hexdigest())


def decode(raw: bytes, where: Path) -> Manifest:
    """Parse a manifest; the schema version is looked at first, so that a newer bundle says so."""
    try:
        version = msgspec.json.decode(raw)["schema"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, RecursionError):
        raise Damaged(f"{where / MANIFEST} is no bundle manifest", "compress the voice again") from None
    if version != SCHEMA:
        raise EdgevoiceError(
            f"{where} has schema version {version!r}, this edgevoice reads {SCHEMA}: "
            "update edgevoice or compress the voice again"
        )
    try:
        return msgspec.json.decode(raw, type=Manifest)
    except msgspec.ValidationError as error:
        raise EdgevoiceError(f"{where / MANIFEST}: {error}") from None


def encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def write(path: str | Path, manifest: Manifest, sources: Mapping[str, Path]) -> Bundle:
    """Write a bundle to folder ``path``: all of it or nothing.

    ``sources`` says where each file comes from; sizes and checksums are filled in here. An older bundle at
    ``path`` is replaced; any other folder that is not empty is refused.
    """
    target = Path(path)
    try:
        refuse_foreign(target)
        place = target.resolve()
        _write(place, manifest, sources)
    except OSError as error:
        raise EdgevoiceError(f"cannot write {target}: {error.strerror or error}") from None
    return read(place, verify=False)  # not ``path``: "." is now the older bundle, which is gone


def _write(target: Path, manifest: Manifest, sources: Mapping[str, Path]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with staging.beside(target) as folder:
        files = {name: _copy(source, folder / name) for name, source in sources.items()}
        manifest = msgspec.structs.replace(manifest, files=files)
        write_synced(folder / MANIFEST, encode(manifest))
        folder.chmod(0o755)
        read(folder)
        replace_folder(folder, target)


def refuse_foreign(target: Path) -> None:
    """Refuse to write over anything that is not an older bundle."""
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists() and not _looks_like_bundle(target):
        raise EdgevoiceError(f"{target} exists and is no bundle: name another folder or remove it")


def _looks_like_bundle(folder: Path) -> bool:
    """Of any schema version. The name alone will not do: web applications have a manifest.json too."""
    try:
        raw = msgspec.json.decode((folder / MANIFEST).read_bytes())
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return False
    return isinstance(raw, dict) and {"schema", "stages", "files"} <= raw.keys()


def replace_folder(new: Path, target: Path) -> None:
    """Put folder ``new`` in the place of ``target``, in one step where the file system can exchange names."""
    if not target.exists():
        os.rename(new, target)
    elif not _exchange(new, target):
        old = new.with_name(new.name + staging.OLD)
        try:
            os.rename(target, old)
            os.rename(new, target)
        except BaseException:  # an interrupt or a signal's SystemExit falls between the two as well
            if old.exists() and not target.exists():
                os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)
    sync_folder(target.parent)


def _exchange(first: Path, second: Path) -> bool:
    """Linux's renameat2 with RENAME_EXCHANGE, which Python lacks; False where it is unsupported."""
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)
    if renameat2 is None:
        return False
    here, exchange = -100, 2
    return bool(renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _manifest_bytes(root: Path) -> bytes:
    if not root.exists():
        raise Damaged(f"{root} does not exist", "name a bundle, or make one with `edgevoice compress`")
    try:
        return (root / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        if root.is_file() and root.name.endswith(VOICE_FILES):
            raise EdgevoiceError(uncompressed(root)) from None
        raise EdgevoiceError(f"{root} is no bundle: it has no {MANIFEST}") from None


def uncompressed(path: Path) -> str:
    """What to tell who names a trained voice where a bundle is wanted."""
    voice = path.with_suffix("") if path.suffix == ".json" else path
    return f"{path} is a voice, not yet compressed: run `edgevoice compress {voice} -o BUNDLE` and give that"


def _check_names(manifest: Manifest, root: Path) -> None:
    for name in manifest.files:
        if not _PLAIN_NAME.match(name) or name in (MANIFEST, SIGNATURE):
            raise Damaged(f"{root}: unsafe file name {name!r} in the manifest", "the bundle was altered")


def _check_references(manifest: Manifest, root: Path) -> None:
    if missing := set(STAGES) - set(manifest.stages):
        raise EdgevoiceError(f"{root}: the bundle lacks the stage {sorted(missing)[0]}")
    named = [manifest.text.file]
    named += [table.file for table in (manifest.voice.speakers, manifest.voice.emotions) if table]
    for stage, row in manifest.stages.items():
        files = [variant.file for variant in row.variants]
        if row.chosen not in files:
            raise EdgevoiceError(f"{root}: stage {stage} chose {row.chosen!r}, which is not among its files")
        named += files
    named += [engine.file for engine in manifest.engines]
    for name in named:
        if name not in manifest.files:
            raise EdgevoiceError(f"{root}: {name!r} is named in the manifest without a checksum")
    for engine in manifest.engines:
        source = manifest.files.get(engine.source)
        if source is None or source.sha256 != engine.source_sha256:
            raise EdgevoiceError(
                f"{root}: the engine {engine.file} is of another {engine.source}: compress the voice again"
            )


def _check_file(path: Path, record: File, verify: bool) -> None:
    if path.is_symlink() or not path.is_file():
        raise Damaged(f"{path} is missing or no plain file", "copy the whole bundle again")
    if path.stat().st_size != record.bytes or (verify and sha256(path) != record.sha256):
        raise Damaged(f"{path} was changed or cut short, its checksum differs", "copy the bundle again")


def _copy(source: Path, destination: Path) -> File:
    shutil.copyfile(source, destination)
    with open(destination, "rb+") as stream:
        os.fsync(stream.fileno())
    return File(sha256=sha256(destination), bytes=destination.stat().st_size)


def write_synced(path: Path, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
