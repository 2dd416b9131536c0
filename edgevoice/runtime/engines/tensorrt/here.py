"""TensorRT on this machine for one bundle: what is there, what is recorded, what has to be built first."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edgevoice.bundle import Bundle
from edgevoice.deploy.layout import Folder, is_deployed
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES
from edgevoice.options import Wish
from edgevoice.runtime import choice
from edgevoice.runtime.engines import cuda as cudas
from edgevoice.runtime.engines.cuda import Cuda
from edgevoice.runtime.engines.tensorrt import library, prepare, record
from edgevoice.runtime.engines.tensorrt.cache import Cache, Machine, machine
from edgevoice.runtime.engines.tensorrt.engine import Stale, TensorRtEngine
from edgevoice.runtime.engines.tensorrt.library import Module
from edgevoice.runtime.engines.tensorrt.record import Record

Note = Callable[[str], None]


def home(path: Path) -> Path:
    """Where the engines of the bundle at ``path`` lie: in the deployed folder, else in the user's cache."""
    folder = _deployed(path)
    if folder is not None:
        return folder.engines
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "edgevoice" / "engines"


def _deployed(path: Path) -> Folder | None:
    """The deployed folder that the bundle at ``path`` lies in."""
    folder = Folder(path.resolve().parent.parent)
    inside = path.resolve().parent in (folder.releases, folder.staging)
    return folder if inside and is_deployed(folder.root) else None


@dataclass(frozen=True)
class Here:
    """A bundle, and what its engines are built and loaded with."""

    bundle: Bundle
    trt: Module
    cuda: Cuda
    cache: Cache
    machine: Machine

    def recorded(self) -> Record | None:
        return prepare.recorded(self.cache, self.bundle, self.machine)

    def free(self) -> int:
        """Bytes of memory that engines can have now."""
        return prepare.free_memory(self.cuda, prepare.device())

    def load(self, found: Record) -> dict[str, TensorRtEngine]:
        """The engines of the stages that TensorRT runs."""
        return prepare.load_chosen(self.bundle, found.engines, self.trt, self.cuda, self.cache, self.machine)


def find(bundle: Bundle, wish: Wish) -> Here:
    """Raises `EdgevoiceError` with what stands against TensorRT here, before anything is built."""
    missing = choice.without_tensorrt(bundle.manifest)
    if missing and (wish == "tensorrt" or len(missing) == len(STAGES)):
        stages = f"stage{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise EdgevoiceError(
            f"the bundle has no file of the {stages} that TensorRT reads: compress the voice with --target "
            "for this device"
        )
    reason = cudas.probe()
    if reason:
        raise EdgevoiceError(reason)
    trt, cuda = library.load(), cudas.load()
    return Here(bundle, trt, cuda, Cache(home(bundle.path)), machine(trt, cuda.device()))


def loaded(here: Here, wish: Wish, note: Note) -> tuple[Record, dict[str, TensorRtEngine]]:
    """The record and the engines of the stages that TensorRT runs; what is not on disk as it was built is
    built anew first, in the builder's process."""
    found = built(here, wish, note)
    try:
        return found, here.load(found)
    except (prepare.Damaged, Stale):
        if found.passing:
            raise  # it was built in vain, and is again when that is due
        found = built(here, wish, note, anew=True)
        return found, here.load(found)


def built(here: Here, wish: Wish, note: Note, again: bool = False, anew: bool = False) -> Record:
    """The record, made now if there is none, or where what stood in the way may have passed; ``again``: or if
    anything had failed; ``anew``: in any case.

    What fails for good is remembered: else every start of a program would try for minutes before it speaks.
    What may pass is tried again, ever less often, and until then goes on with what there is.
    """
    found = here.recorded()
    if found is None or anew or _due(here, found) or (again and found.faulty):
        note(f"engines for {here.machine.gpu} are built and timed, once; that takes minutes")
        found = _build(here, found)
    if not found.stages:
        later = found.later or f"by a deploy, or remove {here.cache.folder}"
        raise _refusal(found, f"{found.passing or found.refusal} (tried again {later})")
    missing = found.lacking
    if missing and (wish == "tensorrt" or len(missing) == len(STAGES)):
        raise _refusal(found, found.lacks)
    return found


def _due(here: Here, found: Record) -> bool:
    return bool(found.passing) and found.due(time.time(), here.free())


def _refusal(found: Record, message: str) -> EdgevoiceError:
    return cudas.CudaError(message, memory=True) if found.short else EdgevoiceError(message)


def _build(here: Here, before: Record | None) -> Record:
    """The record as it is after a build, which may have failed."""
    cache, known = here.cache, (here.bundle.id, here.machine, prepare.orders(here.bundle, here.machine))
    free = here.free()
    try:
        found = prepare.in_process(here.bundle.path, cache.folder)
    except EdgevoiceError as error:
        if not error.passing:
            return record.refuse(cache, *known, str(error))
        tried, lacked = before or record.empty(*known), free if error.memory else None
        return record.put_off(cache, tried, here.machine, str(error), time.time(), lacked)
    if _deployed(here.bundle.path) is None:  # where one is deployed, the next deploy removes what is old
        with suppress(EdgevoiceError, OSError):
            cache.expire()
    if not record.is_of(found, *known):
        raise EdgevoiceError(f"the engines in {cache.folder} were made for another device: build them again")
    if found.passing:
        tried = before or record.empty(*known)
        counted = msgspec.structs.replace(found, tries=tried.tries)
        lacked = free if found.short else None
        return record.put_off(cache, counted, here.machine, found.passing, time.time(), lacked)
    return found
