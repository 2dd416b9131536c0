"""Build a bundle's engines on this device, time them against ONNX Runtime, and record the choice.

``python -m edgevoice.runtime.engines.tensorrt.prepare BUNDLE FOLDER PARENT`` does it in a process of its own:
a builder takes memory that it does not give back, and one that crashes must not end a voice that speaks.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import msgspec

from edgevoice import budget, bundle
from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError, Passing
from edgevoice.manifest import PRECISIONS, STAGES, Manifest, StageName, Variant
from edgevoice.runtime import choice
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.engines import cuda as cudas
from edgevoice.runtime.engines.cuda import Cuda, CudaError
from edgevoice.runtime.engines.tensorrt import engine as engines
from edgevoice.runtime.engines.tensorrt import library, record, shapes, timing
from edgevoice.runtime.engines.tensorrt.build import Order, build
from edgevoice.runtime.engines.tensorrt.cache import DEVICE, Cache, Forbidden, Machine, Signature, machine
from edgevoice.runtime.engines.tensorrt.library import Module
from edgevoice.runtime.engines.tensorrt.record import Candidate, Choice, Memory, Reading, Record
from edgevoice.runtime.engines.tensorrt.timing import Feeds
from targets import Target, child, host, load, memory
from targets.errors import TargetError

WORKSPACE_BYTES = 256 << 20
"""Where no profile is known for this device."""

LIMIT_SECONDS = 3600.0
NAME = "edgevoice.runtime.engines.tensorrt.prepare"
CONTEXT, CONTEXT_SECONDS = "edgevoice.runtime.engines.tensorrt.context", 120.0


class Damaged(Passing):
    """An engine on disk is not the one that was built."""


def readable(manifest: Manifest, stage: StageName) -> list[Variant]:
    """The stage's files that TensorRT reads, those worth building: FP32 only where there is no other."""
    found = choice.for_tensorrt(manifest, stage)
    narrow = [variant for variant in found if variant.precision != "fp32"]
    return sorted(narrow or found, key=lambda variant: PRECISIONS.index(variant.precision))


@functools.cache
def device() -> Target | None:
    """The profile of this machine, if it is known and runs TensorRT. Every file's signature asks for it."""
    try:
        found = load(host.read().targets[0])
    except TargetError:
        return None
    return found if found.engine == "tensorrt" else None


def signature(made: Bundle, variant: Variant, stage: StageName, here: Machine) -> Signature:
    """What the engine of this file is kept under; `prepare` and whoever loads must agree on it."""
    target = device()
    return Signature(
        here,
        stage,
        variant.precision,
        made.manifest.files[variant.file].sha256,
        shapes.of(made.manifest)[stage],
        target.workspace_bytes if target else WORKSPACE_BYTES,
        target.aux_streams if target else 0,
    )


def orders(made: Bundle, here: Machine) -> dict[str, str]:
    """The engine's file in the cache for each of the bundle's files that one is built from."""
    found = {}
    for stage in STAGES:
        for variant in readable(made.manifest, stage):
            found[variant.file] = signature(made, variant, stage, here).file
    return found


def recorded(cache: Cache, made: Bundle, here: Machine) -> Record | None:
    """What `prepare` found here for this bundle, as it would be built now."""
    return record.read(cache, made.id, here, orders(made, here))


def engine(
    made: Bundle, variant: Variant, stage: StageName, trt: Module, cuda: Cuda, cache: Cache, here: Machine
) -> engines.TensorRtEngine:
    """The engine of this file: from the cache, or built now where it is not there or no longer loads."""
    wanted = signature(made, variant, stage, here)
    path = made.file(variant.file)
    order = Order(path, wanted.lengths.profiles, wanted.workspace_bytes, wanted.aux_streams)
    data, is_new = cache.get(wanted, lambda timings: build(trt, order, timings))
    try:
        return engines.load(trt, cuda, {stage: engines.Plan(data, wanted.lengths)})[stage]
    except engines.Stale as error:
        cache.drop(wanted)
        if is_new:
            raise EdgevoiceError(str(error)) from None
        return engine(made, variant, stage, trt, cuda, cache, here)


def free_memory(cuda: Cuda, target: Target | None) -> int:
    """Bytes that engines can have now."""
    free = cuda.memory()[0]
    shared = target.shared_memory if target else cuda.device().integrated
    # CUDA's figure leaves out what the kernel would give back.
    return max(free, memory.read().available) if shared else free


def check_memory(made: Bundle, cuda: Cuda) -> int:
    """Refuse before anything is built what cannot fit; the plan's bytes but for the runtime, 0 if unknown."""
    target = device()
    if target is None:
        return 0
    planned = budget.of(made.manifest, target, free_memory(cuda, target), wish="tensorrt")
    if not planned.fits:
        message = f"the voice does not fit this device: {planned.refusal()}"
        alone = planned.total_bytes <= planned.budget_bytes
        raise CudaError(message, memory=True) if alone else EdgevoiceError(message)
    return planned.total_bytes - planned.row("runtime").bytes


def check_taken(made: Bundle, found: Record) -> None:
    """Hold what was read against the budget. Raises `EdgevoiceError` that names the largest parts."""
    target, taken = device(), found.memory
    if target is None or taken is None:
        return
    read = budget.measured(
        made.manifest, target, found.engines, taken.taken, taken.arena, taken.block, taken.context
    )
    if not read.fits:
        raise EdgevoiceError(f"the engines do not fit this device: {read.refusal()}")


def prepare(
    made: Bundle,
    cache: Cache,
    trt: Module,
    cuda: Cuda,
    windows: Mapping[StageName, Feeds],
    on_cpu: Mapping[StageName, Engine],
) -> Record:
    """Build, time and choose. ``windows``: what a stage is given at its usual length; ``on_cpu``: the stages
    by ONNX Runtime, whose sound the others must make.

    Raises `EdgevoiceError` for what concerns all stages; a stage that TensorRT fails at is recorded.
    """
    here = machine(trt, cuda.device())
    planned = check_memory(made, cuda)
    stages: dict[StageName, Choice] = {}
    for stage in STAGES:
        spoken = made.variant(stage)
        reference = on_cpu[stage].run(windows[stage])
        rows = [
            _on_gpu(made, variant, stage, trt, cuda, cache, windows[stage], reference)
            for variant in readable(made.manifest, stage)
        ]
        took = timing.median(on_cpu[stage], windows[stage])
        rows.append(Candidate("onnxruntime", spoken.precision, spoken.file, took))
        stages[stage] = record.choose(rows, timing.steps(windows[stage]))
    facts = {name: str(value) for name, value in msgspec.to_builtins(here).items()}
    passing = "; ".join(c.words for row in stages.values() for c in row.candidates if c.passing)
    found = Record(made.id, facts, stages, None, planned, orders=orders(made, here), passing=passing)
    found = msgspec.structs.replace(found, memory=_taken(made, cache, cuda, found.engines))
    check_taken(made, found)
    with suppress(EdgevoiceError):  # a folder that cannot be written is no reason to do without the engines
        record.write(cache, found, here)
    return found


def load_chosen(
    made: Bundle, files: Mapping[StageName, str], trt: Module, cuda: Cuda, cache: Cache, here: Machine
) -> dict[str, engines.TensorRtEngine]:
    """The engines of the files that TensorRT runs, by stage, with their shared memory; nothing is built here.

    Raises `Damaged` where one of them is not on disk as it was built, `Stale` where one no longer loads; that
    one is removed.
    """
    plans: dict[str, engines.Plan] = {}
    signatures: dict[str, Signature] = {}
    for stage, file in files.items():
        variant = next(v for v in made.manifest.stages[stage].variants if v.file == file)
        wanted = signature(made, variant, stage, here)
        data = cache.find(wanted)
        if data is None:
            raise Damaged(
                f"the engine {cache.folder / wanted.file} was cut, changed, or may be another user's: "
                f"remove {cache.folder}, which only its owner should be able to write to"
            )
        plans[stage], signatures[stage] = engines.Plan(data, wanted.lengths), wanted
    try:
        return engines.load(trt, cuda, plans) if plans else {}
    except engines.Stale as error:
        with suppress(EdgevoiceError):
            cache.drop(signatures[error.stage])
        raise


def _on_gpu(
    made: Bundle,
    variant: Variant,
    stage: StageName,
    trt: Module,
    cuda: Cuda,
    cache: Cache,
    feeds: Feeds,
    reference: Sequence[Array],
) -> Candidate:
    passing = short = False
    try:
        ready = engine(made, variant, stage, trt, cuda, cache, machine(trt, cuda.device()))
        fault = timing.differs(ready.run(feeds), reference)
        took = None if fault else timing.median(ready, feeds)
    except EdgevoiceError as error:
        if error.lost:
            raise
        fault, took, passing, short = str(error), None, error.passing, error.memory
    return Candidate("tensorrt", variant.precision, variant.file, took, fault, passing, short)


def _taken(made: Bundle, cache: Cache, cuda: Cuda, files: Mapping[StageName, str]) -> Memory | None:
    """What the chosen engines take in a process that built nothing: a builder keeps memory to its end. None
    where TensorRT runs nothing, or it could not be read."""
    if not files:
        return None
    free = cuda.memory()[0]
    try:
        read = in_reader(made, cache, files)
    except child.Failed:
        return None
    # A process cannot read what its own context takes, as the question makes the context.
    return msgspec.structs.replace(read.memory, context=max(0, free - read.free))


def in_reader(made: Bundle, cache: Cache, files: Mapping[StageName, str]) -> Reading:
    """`edgevoice.runtime.engines.tensorrt.context` in a process of its own. Raises `child.Failed`."""
    wanted = json.dumps(dict(files))
    answer = child.answer("-m", CONTEXT, str(made.path), str(cache.folder), wanted, seconds=CONTEXT_SECONDS)
    try:
        return msgspec.convert(answer, Reading)
    except msgspec.ValidationError as error:
        raise child.Failed(f"the process answered no reading: {error}") from None


def in_process(made: Path, folder: Path, python: Sequence[str] = ()) -> Record:
    """`prepare` in a process of its own. Raises `EdgevoiceError` with what it says, or how it ended;
    `Passing` where that may be gone at the next try, `CudaError` for want of the GPU's memory."""
    arguments = ("-m", NAME, str(made), str(folder), str(os.getpid()))
    try:
        answer = child.answer(*arguments, seconds=LIMIT_SECONDS, python=python)
    except child.Failed as failed:
        kind = Passing if failed.cut else EdgevoiceError
        raise kind(f"engines were not built: {failed}") from None
    return said(answer)


def said(answer: Mapping[str, Any]) -> Record:
    """The record that `main` answers with; raises `EdgevoiceError` as `in_process`."""
    error = str(answer.get("error", ""))
    if error and answer.get("memory"):
        raise CudaError(error, memory=True)
    if error:
        raise (Passing if answer.get("passing") else EdgevoiceError)(error)
    try:
        return msgspec.convert(answer.get("record"), Record)
    except msgspec.ValidationError as fault:
        raise EdgevoiceError(f"engines were not built: the process answered no record: {fault}") from None


def main(arguments: Sequence[str], find: Callable[[], tuple[Module, Cuda]] | None = None) -> dict[str, Any]:
    """The ``record``; or the ``error``, whether it is ``passing``, and whether for want of ``memory``."""
    from edgevoice.runtime.windows import heard

    made = bundle.read(arguments[0], verify=False)
    building = False
    try:
        trt, cuda = (find or _find)()
        on_cpu, windows = heard(made)
        lengths = shapes.of(made.manifest)
        usual: dict[StageName, Feeds] = {s: _usual(windows[s], lengths[s]) for s in STAGES}
        building = True
        found = _alone(
            made,
            Cache(Path(arguments[1])),
            machine(trt, cuda.device()),
            lambda cache: prepare(made, cache, trt, cuda, usual, on_cpu),
        )
    except EdgevoiceError as error:
        # Before that it was nothing of TensorRT's: a phonemizer that is not installed, for one.
        return {"error": str(error), "passing": error.passing or not building, "memory": error.memory}
    return {"error": "", "record": msgspec.to_builtins(found)}


def _alone(made: Bundle, cache: Cache, here: Machine, work: Callable[[Cache], Record]) -> Record:
    """``work``'s record, or that of another process which did the same while this one waited for it: where
    others build meanwhile, stages are timed as slower than they are."""
    before = recorded(cache, made, here)
    with ExitStack() as held:
        with suppress(Forbidden):  # in a folder that cannot be written nobody builds
            held.enter_context(cache.locked(name=DEVICE))
        now = recorded(cache, made, here)
        return now if now and now != before and not now.passing else work(cache)


def _usual(given: Sequence[Feeds], lengths: shapes.Lengths) -> Feeds:
    """The longest window of a length that comes often, else the longest: ``given`` begins with it."""
    often = {length for _, length in lengths.fixed}
    return next((feeds for feeds in given if timing.steps(feeds) in often), given[0])


def _find() -> tuple[Module, Cuda]:
    reason = cudas.probe()
    if reason:
        raise EdgevoiceError(reason)
    return library.load(), cudas.load()


if __name__ == "__main__":
    child.end_with_parent(int(sys.argv[3]))
    print(f"\n{json.dumps(main(sys.argv[1:3]))}", flush=True)
