"""The engines of a bundle on this machine: TensorRT's, as they were measured here, or ONNX Runtime's.

A bundle with files for TensorRT gets them where there is a GPU; any other, and any on a machine without one,
runs on the CPU. Where the first becomes the second, that is said; with ``tensorrt`` asked for it is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from edgevoice.bundle import Bundle
from edgevoice.deploy.layout import Folder, is_deployed
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES
from edgevoice.options import Wish
from edgevoice.runtime import choice
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.engines import cuda as cudas
from edgevoice.runtime.engines.onnx import OnnxEngine

if TYPE_CHECKING:
    from edgevoice.runtime.engines.tensorrt.cache import Cache, Machine
    from edgevoice.runtime.engines.tensorrt.record import Record

Note = Callable[[str], None]


@dataclass
class Selected:
    """Engines by stage. ``words``: what runs each. ``remark``: what its user should know, or empty."""

    engines: Mapping[str, Engine]
    words: str
    remark: str = ""
    news: list[str] = field(default_factory=list)
    """What happened since: a GPU that failed, and what speaks instead. Whoever tells it empties it."""


def select(bundle: Bundle, threads: int, wish: Wish = "", note: Note = lambda _: None) -> Selected:
    """``note`` is told what takes minutes: engines are built once. Raises `EdgevoiceError`."""
    manifest = bundle.manifest
    if wish == "onnxruntime" or (not wish and not choice.for_gpu(manifest)):
        return Selected(_on_cpu(bundle, threads), choice.engines(manifest))
    try:
        return _on_gpu(bundle, threads, wish, note)
    except EdgevoiceError as error:
        if wish == "tensorrt":
            raise EdgevoiceError(f"TensorRT is required and cannot be used: {error}") from None
        by_provider = _by_provider(bundle, threads, str(error))
        if by_provider:
            return by_provider
        remark = choice.fallback(manifest, str(error))
        return Selected(_on_cpu(bundle, threads), choice.engines(manifest), remark)


def ready(bundle: Bundle, wish: Wish = "", note: Note = lambda _: None) -> str:
    """Build what `select` will need, in a process of its own; the remark that it will make, or empty.

    Raises `EdgevoiceError` where ``wish`` is "tensorrt" and it cannot be had.
    """
    if wish == "onnxruntime" or (not wish and not choice.for_gpu(bundle.manifest)):
        return ""
    try:
        return _lacks(_record(bundle, wish, note, again=True))
    except EdgevoiceError as error:
        if wish == "tensorrt":
            raise EdgevoiceError(f"TensorRT is required and cannot be used: {error}") from None
        return choice.fallback(bundle.manifest, str(error))


def home(path: Path) -> Path:
    """Where the engines of the bundle at ``path`` lie: in the deployed folder, else in the user's cache."""
    folder = Folder(path.resolve().parent.parent)
    if path.resolve().parent in (folder.releases, folder.staging) and is_deployed(folder.root):
        return folder.engines
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "edgevoice" / "engines"


def _on_cpu(bundle: Bundle, threads: int) -> dict[str, Engine]:
    stages = bundle.manifest.stages
    return {stage: OnnxEngine(bundle.file(bundle.variant(stage).file), threads) for stage in stages}


@dataclass(frozen=True)
class _Found:
    """The record of a bundle on this machine, and what to load its engines with."""

    record: Record
    trt: Any
    cuda: cudas.Cuda
    cache: Cache
    here: Machine
    lacking: list[str]


def _record(bundle: Bundle, wish: Wish, note: Note, again: bool) -> _Found:
    """Made now if there is none; ``again``: or if a file had failed, perhaps for memory that is there now.

    A failure is remembered: else every start of a program would try for minutes before it speaks.
    """
    from edgevoice.runtime.engines.tensorrt import library, prepare, record
    from edgevoice.runtime.engines.tensorrt.cache import Cache, machine

    if not any(prepare.readable(bundle.manifest, stage) for stage in STAGES):
        raise EdgevoiceError(
            "the bundle has no file that TensorRT reads: compress the voice with --target for this device"
        )
    reason = cudas.probe()
    if reason:
        raise EdgevoiceError(reason)
    trt, cuda = library.load(), cudas.load()
    cache, here = Cache(home(bundle.path)), machine(trt, cuda.device())
    found = prepare.recorded(cache, bundle, here)
    if found is None or (again and found.faulty):
        note(f"engines for {here.gpu} are built and timed, once; that takes minutes")
        try:
            prepare.in_process(bundle.path, cache.folder)
        except EdgevoiceError as error:
            record.refuse(cache, bundle.id, here, prepare.orders(bundle, here), str(error))
            raise
        found = prepare.recorded(cache, bundle, here)
    if found is None:
        raise EdgevoiceError(f"the engines in {cache.folder} were made for another device: build them again")
    if found.refusal:
        raise EdgevoiceError(f"{found.refusal} (a deploy tries again, or remove {cache.folder})")
    lacking = [f"{stage}: {row.fallback}" for stage, row in found.stages.items() if row.fallback]
    if lacking and (wish == "tensorrt" or len(lacking) == len(STAGES)):
        raise EdgevoiceError("; ".join(lacking))
    return _Found(found, trt, cuda, cache, here, lacking)


def _lacks(found: _Found) -> str:
    return f"TensorRT does not run all of it: {'; '.join(found.lacking)}" if found.lacking else ""


def _on_gpu(bundle: Bundle, threads: int, wish: Wish, note: Note) -> Selected:
    from edgevoice.runtime.engines.tensorrt import prepare, record

    found = _record(bundle, wish, note, again=False)
    fast = prepare.load_chosen(bundle, found.record.stages, found.trt, found.cuda, found.cache, found.here)
    rest = [stage for stage in STAGES if stage not in fast]
    slow: dict[str, Engine] = {
        stage: OnnxEngine(bundle.file(bundle.variant(stage).file), threads) for stage in rest
    }
    selected = Selected({}, record.words(found.record), _lacks(found))
    spare = None if wish == "tensorrt" else Spare(bundle, threads, selected.news)
    guarded = {s: Guarded(s, engine, spare) if spare else engine for s, engine in fast.items()}
    selected.engines = {**slow, **guarded}
    return selected


def _by_provider(bundle: Bundle, threads: int, reason: str) -> Selected | None:
    """ONNX Runtime on the GPU, where it has a provider for it and is faster there; None elsewhere."""
    from edgevoice.runtime.engines import providers

    there = providers.available()
    if not there or cudas.probe():
        return None
    from edgevoice.runtime.engines.tensorrt.timing import median
    from edgevoice.runtime.windows import heard

    try:
        on_cpu, windows = heard(bundle, threads)
        engines = {
            stage: providers.ProviderEngine(
                bundle.file(bundle.variant(stage).file), there, windows[stage], home(bundle.path)
            )
            for stage in STAGES
        }
        longest = {stage: windows[stage][0] for stage in STAGES}
        ours, theirs = (
            sum(median(row[stage], longest[stage]) for stage in STAGES) for row in (engines, on_cpu)
        )
    except EdgevoiceError:
        return None
    if ours >= theirs:
        return None
    words = "; ".join(f"{stage}: {engine.words}" for stage, engine in engines.items())
    selected = Selected({}, f"by ONNX Runtime on the GPU ({words})", f"not by TensorRT itself: {reason}")
    spare = Spare(bundle, threads, selected.news)
    selected.engines = {stage: Guarded(stage, engine, spare) for stage, engine in engines.items()}
    return selected


class Spare:
    """The stages on the CPU, for when the GPU is lost in the middle; loaded then, and from then on used."""

    def __init__(self, bundle: Bundle, threads: int, news: list[str]) -> None:
        self._bundle, self._threads, self._news = bundle, threads, news
        self._engines: dict[str, Engine] | None = None

    @property
    def used(self) -> bool:
        return self._engines is not None

    def take(self, error: cudas.CudaError) -> None:
        if self._engines is None:
            self._engines = _on_cpu(self._bundle, self._threads)
            self._news.append(f"{error}; the voice goes on on the CPU until it is loaded again")

    def run(self, stage: str, feeds: Mapping[str, Array]) -> list[npt.NDArray[np.float32]]:
        assert self._engines is not None
        return self._engines[stage].run(feeds)


class Guarded:
    """A stage on the GPU, which goes on on the CPU once the GPU fails."""

    def __init__(self, stage: str, engine: Engine, spare: Spare) -> None:
        self.inputs, self._stage, self._engine, self._spare = engine.inputs, stage, engine, spare

    def run(self, feeds: Mapping[str, Array]) -> list[npt.NDArray[np.float32]]:
        if not self._spare.used:
            try:
                return self._engine.run(feeds)
            except cudas.CudaError as error:
                self._spare.take(error)
        return self._spare.run(self._stage, feeds)
