"""The engines of a bundle on this machine: TensorRT's, as they were measured here, or ONNX Runtime's.

A bundle with files for TensorRT gets them where there is a GPU; any other, and any on a machine without one,
runs on the CPU. Where the first becomes the second, that is said; with ``tensorrt`` asked for it is refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES
from edgevoice.options import Wish
from edgevoice.runtime import choice
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.engines import cuda as cudas
from edgevoice.runtime.engines.onnx import OnnxEngine

if TYPE_CHECKING:
    from edgevoice.runtime.engines.tensorrt.record import Record

Note = Callable[[str], None]

REQUIRED = "TensorRT is required and cannot be used: {}"


@dataclass
class Selected:
    """Engines by stage. ``words``: what runs each. ``remark``: what its user should know, or empty.

    ``on_gpu``: it holds the GPU's memory. ``no_room``: they run on the CPU because the GPU had no memory for
    them now; ``lost``: because this process can no longer use it, which another may.
    """

    engines: Mapping[str, Engine]
    words: str
    remark: str = ""
    on_gpu: bool = False
    no_room: bool = False
    lost: bool = False
    news: list[str] = field(default_factory=list)
    """What happened since: a GPU that failed, and what speaks instead. Whoever tells it empties it."""


def select(bundle: Bundle, threads: int, wish: Wish = "", note: Note = lambda _: None) -> Selected:
    """``note`` is told what takes minutes: engines are built once. Raises `EdgevoiceError`."""
    manifest = bundle.manifest
    if not choice.tries_gpu(manifest, wish):
        return Selected(_on_cpu(bundle, threads), choice.engines(manifest))
    try:
        return _on_gpu(bundle, threads, wish, note)
    except EdgevoiceError as error:
        if wish == "tensorrt":
            raise _required(error) from None
        by_provider = None if error.memory or error.lost else _by_provider(bundle, threads, str(error))
        if by_provider:
            return by_provider
        remark = choice.fallback(manifest, str(error))
        words = choice.engines(manifest)
        return Selected(_on_cpu(bundle, threads), words, remark, no_room=error.memory, lost=error.lost)


def ready(bundle: Bundle, wish: Wish = "", note: Note = lambda _: None) -> str:
    """Build what `select` will need, in a process of its own; the remark that it will make, or empty.

    Raises `EdgevoiceError` where ``wish`` is "tensorrt" and it cannot be had.
    """
    if not choice.tries_gpu(bundle.manifest, wish):
        return ""
    from edgevoice.runtime.engines.tensorrt import here

    try:
        return _lacks(here.built(here.find(bundle, wish), wish, note, again=True))
    except EdgevoiceError as error:
        if wish == "tensorrt":
            raise EdgevoiceError(REQUIRED.format(error)) from None
        return choice.fallback(bundle.manifest, str(error))


def _required(error: EdgevoiceError) -> EdgevoiceError:
    """The refusal, which still says whether it is for want of memory, or for a GPU that is lost."""
    message = REQUIRED.format(error)
    is_cuda = isinstance(error, cudas.CudaError)
    return cudas.CudaError(message, error.memory, error.lost) if is_cuda else EdgevoiceError(message)


def _on_cpu(bundle: Bundle, threads: int) -> dict[str, Engine]:
    stages = bundle.manifest.stages
    return {stage: OnnxEngine(bundle.file(bundle.variant(stage).file), threads) for stage in stages}


def _lacks(found: Record) -> str:
    return f"TensorRT does not run all of it: {found.lacks}" if found.lacking else ""


def _on_gpu(bundle: Bundle, threads: int, wish: Wish, note: Note) -> Selected:
    from edgevoice.runtime.engines.tensorrt import here, record

    place = here.find(bundle, wish)
    found, fast = here.loaded(place, wish, note)
    rest = [stage for stage in STAGES if stage not in fast]
    slow: dict[str, Engine] = {
        stage: OnnxEngine(bundle.file(bundle.variant(stage).file), threads) for stage in rest
    }
    short = bool(found.lacking) and found.short
    selected = Selected({}, record.words(found), _lacks(found), on_gpu=bool(fast), no_room=short)
    spare = None if wish == "tensorrt" else Spare(bundle, threads, selected)
    guarded = {s: Guarded(s, engine, spare) if spare else engine for s, engine in fast.items()}
    selected.engines = {**slow, **guarded}
    return selected


def _by_provider(bundle: Bundle, threads: int, reason: str) -> Selected | None:
    """ONNX Runtime on the GPU, where it has a provider for it and is faster there; None elsewhere."""
    from edgevoice.runtime.engines import providers

    there = providers.available()
    if not there or cudas.probe():
        return None
    from edgevoice.runtime.engines.tensorrt import shapes
    from edgevoice.runtime.engines.tensorrt.here import home
    from edgevoice.runtime.engines.tensorrt.timing import differs, median
    from edgevoice.runtime.windows import heard

    try:
        on_cpu, windows = heard(bundle, threads)
        cache, lengths = providers.kept(home(bundle.path)), shapes.of(bundle.manifest)
        files = {stage: choice.for_provider(bundle.manifest, stage) for stage in STAGES}
        engines = {
            stage: providers.ProviderEngine(
                bundle.file(row.file),
                there,
                windows[stage],
                cache,
                lengths[stage].all,
                row.precision == "fp16",
            )
            for stage, row in files.items()
        }
        longest = {stage: windows[stage][0] for stage in STAGES}
        if any(differs(engines[s].run(longest[s]), on_cpu[s].run(longest[s])) for s in STAGES):
            return None
        ours, theirs = (
            sum(median(row[stage], longest[stage]) for stage in STAGES) for row in (engines, on_cpu)
        )
    except EdgevoiceError:
        return None
    if ours >= theirs:
        return None
    words = "; ".join(f"{stage}: {engine.words}" for stage, engine in engines.items())
    how = f"by ONNX Runtime on the GPU ({words})"
    selected = Selected({}, how, f"not by TensorRT itself: {reason}", on_gpu=True)
    spare = Spare(bundle, threads, selected)
    selected.engines = {stage: Guarded(stage, engine, spare) for stage, engine in engines.items()}
    return selected


class Spare:
    """The stages on the CPU, for when the GPU fails in the middle; loaded then, and from then on used.

    What was ``selected`` says so from then on.
    """

    def __init__(self, bundle: Bundle, threads: int, selected: Selected) -> None:
        self._bundle, self._threads, self._selected = bundle, threads, selected
        self._engines: dict[str, Engine] | None = None
        self._lock = threading.Lock()

    @property
    def used(self) -> bool:
        return self._engines is not None

    def take(self, error: cudas.CudaError) -> None:
        with self._lock:
            if self._engines is None:
                self._engines = _on_cpu(self._bundle, self._threads)
                self._tell(error)

    def _tell(self, error: cudas.CudaError) -> None:
        selected, manifest = self._selected, self._bundle.manifest
        until = "its process begins anew" if error.lost else "it is loaded again"
        selected.news.append(f"{error}; the voice goes on on the CPU until {until}")
        selected.words, selected.remark = choice.engines(manifest), choice.fallback(manifest, str(error))
        selected.lost = error.lost

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
