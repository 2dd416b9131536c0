"""TensorRT on this machine for one bundle: what is there, what is recorded, what has to be built first."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

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
from edgevoice.runtime.engines.tensorrt.engine import TensorRtEngine
from edgevoice.runtime.engines.tensorrt.library import Module
from edgevoice.runtime.engines.tensorrt.record import Record

Note = Callable[[str], None]


def home(path: Path) -> Path:
    """Where the engines of the bundle at ``path`` lie: in the deployed folder, else in the user's cache."""
    folder = Folder(path.resolve().parent.parent)
    if path.resolve().parent in (folder.releases, folder.staging) and is_deployed(folder.root):
        return folder.engines
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "edgevoice" / "engines"


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

    def load(self, found: Record) -> dict[str, TensorRtEngine]:
        """The engines of the stages that TensorRT runs."""
        return prepare.load_chosen(self.bundle, found.stages, self.trt, self.cuda, self.cache, self.machine)


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


def built(here: Here, wish: Wish, note: Note, again: bool) -> Record:
    """The record, made now if there is none; ``again``: or if a file had failed, perhaps for memory that is
    there now.

    A failure is remembered: else every start of a program would try for minutes before it speaks.
    """
    cache, found = here.cache, here.recorded()
    if found is None or (again and found.faulty):
        note(f"engines for {here.machine.gpu} are built and timed, once; that takes minutes")
        try:
            prepare.in_process(here.bundle.path, cache.folder)
        except EdgevoiceError as error:
            orders = prepare.orders(here.bundle, here.machine)
            record.refuse(cache, here.bundle.id, here.machine, orders, str(error))
            raise
        found = here.recorded()
    if found is None:
        raise EdgevoiceError(f"the engines in {cache.folder} were made for another device: build them again")
    if found.refusal:
        raise EdgevoiceError(f"{found.refusal} (a deploy tries again, or remove {cache.folder})")
    missing = found.lacking
    if missing and (wish == "tensorrt" or len(missing) == len(STAGES)):
        raise EdgevoiceError("; ".join(missing))
    return found
