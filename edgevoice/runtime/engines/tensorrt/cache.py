"""Built engines on disk, each under the signature of what it was built from and where.

A file is one line of JSON and the plan. It is loaded only if the line is the signature that is asked for
and the plan has the line's checksum: a plan is code for one GPU and one TensorRT, and a wrong one may crash
instead of failing. Files appear whole, by a rename, while the folder's lock is held.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevoice.bundle import sync_folder
from edgevoice.errors import EdgevoiceError, Passing
from edgevoice.runtime.engines.cuda import Device
from edgevoice.runtime.engines.tensorrt.build import Built
from edgevoice.runtime.engines.tensorrt.library import Module
from edgevoice.runtime.engines.tensorrt.shapes import Lengths
from targets import host

BUILDER = 1
"""Of this code: raised when the same order would give another engine."""

PATIENCE_SECONDS = 1800.0
POLL_SECONDS = 0.2
DAY_SECONDS = 24 * 3600.0
PROVIDERS = "ort"
"""The folder in the cache's, with one for each GPU, driver and release, of ONNX Runtime's providers."""
UNUSED_SECONDS = 90 * DAY_SECONDS

FILES, DEVICE = ".lock", ".prepare"
"""Locks: of the folder's files, for a moment or one build; of the device, while engines are built and timed.
Who holds the second takes the first inside it."""


class Forbidden(EdgevoiceError):
    """This process may not build in the folder: it is read-only, as for a service, or another user's."""


@dataclass(frozen=True)
class Machine:
    """What an engine depends on beside its file; ``jetpack`` is the L4T release, empty on a card."""

    gpu: str
    capability: str
    tensorrt: str
    cuda: str
    jetpack: str

    @property
    def key(self) -> str:
        return _digest(asdict(self))[:12]


def machine(trt: Module, device: Device) -> Machine:
    version = f"{trt.__name__} {trt.__version__}"
    return Machine(device.name, device.capability, version, device.cuda, host.read().l4t or "")


@dataclass(frozen=True)
class Signature:
    """``onnx``: the SHA-256 of the file, as the bundle's manifest has it: the file itself is not needed."""

    machine: Machine
    stage: str
    precision: str
    onnx: str
    lengths: Lengths
    workspace_bytes: int
    aux_streams: int
    builder: int = BUILDER

    @property
    def line(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True).encode()

    @property
    def file(self) -> str:
        return f"{self.stage}.{self.precision}.{hashlib.sha256(self.line).hexdigest()[:16]}.plan"


class Cache:
    """The engines in one folder, which is made when the first of them is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, wanted: Signature) -> bytes | None:
        """The plan with this signature; None where there is none, or it was cut, changed or swapped."""
        try:
            with open(self.folder / wanted.file, "rb") as stream:
                if not self._trusts(stream.fileno()):
                    return None
                head = stream.readline(1 << 16)
                plan = stream.read()
        except OSError:
            return None
        if head != _head(wanted, plan):
            return None
        self.use(wanted.file)
        return plan

    def use(self, name: str) -> None:
        """Keep the file from `expire`. To the day is enough: each start would wear the board's storage, and a
        clock that was put back undoes nothing."""
        path = self.folder / name
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > DAY_SECONDS:
                os.utime(path)

    def _trusts(self, descriptor: int) -> bool:
        """A plan runs as code: it must come from who holds the folder, and nobody else may write there."""
        folder = self.folder.stat()
        owner = os.fstat(descriptor).st_uid
        return owner in (os.geteuid(), 0, folder.st_uid) and not folder.st_mode & 0o002

    def get(self, wanted: Signature, build: Callable[[bytes], Built]) -> tuple[bytes, bool]:
        """The plan, and whether it was built now. ``build`` takes the timing cache.

        One process builds at a time; the others wait and take what it made. Raises `EdgevoiceError`.
        """
        plan = self.find(wanted)
        if plan is not None:
            return plan, False
        with self.locked():
            plan = self.find(wanted)
            if plan is not None:
                return plan, False
            timings = f"timings.{wanted.machine.key}"
            built = build(self._read(timings))
            self.write(wanted.file, _head(wanted, built.plan) + built.plan)
            if built.timing_cache:
                self.write(timings, built.timing_cache)
            return built.plan, True

    def drop(self, wanted: Signature) -> None:
        """Remove the plan with this signature. Raises `EdgevoiceError` where that cannot be."""
        try:
            (self.folder / wanted.file).unlink(missing_ok=True)
        except OSError as error:
            raise self._refusal("engines", error) from None

    def write(self, name: str, data: bytes) -> None:
        """Put a file there, whole or not at all."""
        new = self.folder / f".{name}.{os.getpid()}.new"
        try:
            _make(self.folder)
            with open(new, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            new.chmod(0o644)
            os.replace(new, self.folder / name)
            sync_folder(self.folder)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise self._refusal("an engine", error) from None

    def _read(self, name: str) -> bytes:
        try:
            with open(self.folder / name, "rb") as stream:
                return stream.read() if self._trusts(stream.fileno()) else b""
        except OSError:
            return b""

    def _refusal(self, what: str, error: OSError) -> EdgevoiceError:
        message = f"cannot keep {what} in {self.folder}: {error.strerror}"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return Forbidden(f"{message}: only its owner builds there, so deploy the release again")
        return Passing(message)

    @contextmanager
    def locked(self, patience: float = PATIENCE_SECONDS, name: str = FILES) -> Iterator[None]:
        """Hold the folder's lock ``name`` alone; who holds its files clears what a killed writer has left."""
        try:
            _make(self.folder)
            descriptor = os.open(self.folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._refusal("engines", error) from None
        try:
            _wait(descriptor, self.folder, patience)
            for left in self.folder.glob(".*.new") if name == FILES else ():
                left.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)

    def prune(self, releases: set[str], onnx: set[str], here: Machine | None) -> None:
        """Remove engines of files whose SHA-256 is not in ``onnx``, and records of other bundles than
        ``releases``, by the first 16 digits of their ids; and all that was made for another machine than
        ``here``, as by a former TensorRT, where it is known. It waits for nobody: see `locked`."""
        with self.locked(patience=0.0):
            for plan in self.folder.glob("*.plan"):
                signature = _signature_of(plan)
                foreign = here is not None and signature.get("machine") != asdict(here)
                if signature.get("onnx") not in onnx or foreign:
                    plan.unlink(missing_ok=True)
            for record in self.folder.glob("*.json"):
                release, key = record.name.split(".")[:2]
                if release not in releases or (here is not None and key != here.key):
                    record.unlink(missing_ok=True)
            for timings in self.folder.glob("timings.*"):
                if here is not None and timings.name != f"timings.{here.key}":
                    timings.unlink(missing_ok=True)
            self._expire_providers(time.time() - UNUSED_SECONDS)

    def expire(self, seconds: float = UNUSED_SECONDS) -> None:
        """Remove engines, records and timings that nobody has used for so long. It waits for nobody."""
        oldest = time.time() - seconds
        with self.locked(patience=0.0):
            for pattern in ("*.plan", "*.json", "timings.*"):
                for path in self.folder.glob(pattern):
                    if path.stat().st_mtime < oldest:
                        path.unlink()
            self._expire_providers(oldest)

    def _expire_providers(self, oldest: float) -> None:
        """What TensorRT's provider of ONNX Runtime has built, under names of its own: by last use alone."""
        for folder in (self.folder / PROVIDERS).glob("*"):
            if folder.stat().st_mtime < oldest:
                shutil.rmtree(folder, ignore_errors=True)


def _make(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # a service of another user loads what a deploy has built


def _wait(descriptor: int, folder: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise Passing(
                    f"another process builds engines in {folder} and does not end: look for it, or wait"
                ) from None
            time.sleep(POLL_SECONDS)


def _signature_of(plan: Path) -> dict[str, Any]:
    """What an engine was built from and for; empty for what is no engine."""
    try:
        with open(plan, "rb") as stream:
            return dict(json.loads(stream.readline(1 << 16))["signature"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _head(wanted: Signature, plan: bytes) -> bytes:
    record = {"sha256": hashlib.sha256(plan).hexdigest(), "signature": json.loads(wanted.line)}
    return json.dumps(record, sort_keys=True).encode() + b"\n"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
