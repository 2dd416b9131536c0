"""What was measured here for a bundle, and which engine runs each stage: kept beside the engines."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

import msgspec

from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, Precision, StageName
from edgevoice.runtime.engines.tensorrt.cache import PATIENCE_SECONDS, Cache, Machine

Kind = Literal["tensorrt", "onnxruntime"]
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 600.0, 6 * 3600.0
"""Between tries of what may have passed: each may take minutes before a program speaks."""
ROOMIER = 1.1
"""By how much more memory has to be free than at a try that lacked it: a board's moves all the time."""

WORDS: dict[str, str] = {"tensorrt": "TensorRT", "onnxruntime": "ONNX Runtime on the CPU"}


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Candidate(_Strict, frozen=True):
    """One way to run a stage. ``milliseconds``: the median for ``Choice.steps``; ``fault``: why it cannot,
    ``passing`` if that may be gone at the next try, ``short`` if it was for want of the GPU's memory."""

    engine: Kind
    precision: Precision
    file: str
    milliseconds: float | None = None
    fault: str = ""
    passing: bool = False
    short: bool = False

    @property
    def words(self) -> str:
        how = f"{self.precision.upper()} by {WORDS[self.engine]}"
        if self.fault or self.milliseconds is None:
            return f"{how} cannot be used: {self.fault}"
        return f"{how} {self.milliseconds:.2f} ms"


class Choice(_Strict, frozen=True):
    """``steps``: length of the window that was timed, in ids or frames. ``fallback``: why TensorRT runs
    nothing of it, where that was no choice."""

    engine: Kind
    precision: Precision
    file: str
    steps: int
    reason: str
    candidates: list[Candidate]
    fallback: str = ""


class Memory(_Strict, frozen=True):
    """Bytes, read on the device: by how much its free memory fell while the chosen engines were loaded
    (weights, kernels, arena and all), the shared arena, the block of inputs and outputs, and what a process's
    context and libraries take before that; None where that could not be read."""

    taken: int
    arena: int
    block: int
    context: int | None = None


class Reading(_Strict, frozen=True):
    """``free``: bytes free on the device for a process that has TensorRT, a context and nothing else."""

    free: int
    memory: Memory


class Record(_Strict, frozen=True):
    """``bundle``: its id. ``plan_bytes``: what `edgevoice.budget` had estimated for all but the runtime.
    ``refusal``: why nothing could be built, and then there are no stages. ``orders``: the engine that was
    built from each file: another edgevoice, or another profile of the device, would build other ones.
    ``passing``: what stood in the way at the last try and may be gone; ``tries``: how many were in vain,
    ``tried``: when the last was, in seconds since 1970; ``free``: the device's free bytes then, if it was for
    want of them.
    """

    bundle: str
    machine: dict[str, str]
    stages: dict[StageName, Choice]
    memory: Memory | None = None
    plan_bytes: int = 0
    refusal: str = ""
    orders: dict[str, str] = {}
    passing: str = ""
    tries: int = 0
    tried: float = 0.0
    free: int | None = None

    def due(self, now: float, free: int) -> bool:
        """Whether to try again at ``now`` what may have passed: at the next start, then ever less often. A
        clock that was put back makes it now, and so does memory that is ``free`` again."""
        waited = now - self.tried
        roomier = self.free is not None and free > self.free * ROOMIER
        return bool(self.passing) and (roomier or not 0 <= waited < self.wait_seconds)

    @property
    def short(self) -> bool:
        """Whether it was for want of the GPU's memory that the last try was in vain."""
        return self.free is not None or any(c.short for row in self.stages.values() for c in row.candidates)

    @property
    def wait_seconds(self) -> float:
        return (
            0.0 if self.tries < 2 else min(FIRST_WAIT_SECONDS * 2.0 ** (self.tries - 2), LONGEST_WAIT_SECONDS)
        )

    @property
    def later(self) -> str:
        """When it is tried again, in words; empty if only a deploy does."""
        minutes = round(self.wait_seconds / 60)
        when = f"at a start {minutes} minutes after the last try" if minutes else "at the next start"
        roomier = " or with more memory free" if minutes and self.short else ""
        return when + roomier if self.passing else ""

    @property
    def engines(self) -> dict[StageName, str]:
        """The files that TensorRT runs, by stage."""
        return {stage: row.file for stage, row in self.stages.items() if row.engine == "tensorrt"}

    @property
    def lacking(self) -> list[str]:
        """The stages that TensorRT runs nothing of, where that was no choice, and why."""
        return [f"{stage}: {row.fallback}" for stage, row in self.stages.items() if row.fallback]

    @property
    def lacks(self) -> str:
        """The same in one sentence, with when it is tried again."""
        return "; ".join(self.lacking) + (f" (tried again {self.later})" if self.later else "")

    @property
    def faulty(self) -> bool:
        return bool(self.refusal or self.passing) or any(
            row.fault for choice in self.stages.values() for row in choice.candidates
        )


def choose(candidates: list[Candidate], steps: int) -> Choice:
    """The fastest that works; the sentence says what the others took, or why they cannot be used."""
    working = [row for row in candidates if row.milliseconds is not None and not row.fault]
    best = min(working, key=lambda row: row.milliseconds or 0.0)
    others = [row.words for row in candidates if row is not best]
    reason = "; ".join([f"{best.words} for {steps} steps, the fastest here", *others])
    by_tensorrt = [row for row in candidates if row.engine == "tensorrt"]
    fallback = ""
    if not any(row in working for row in by_tensorrt):
        fallback = "; ".join(row.words for row in by_tensorrt) or "TensorRT reads none of its files"
    return Choice(best.engine, best.precision, best.file, steps, reason, candidates, fallback)


def words(record: Record) -> str:
    """ "encoder FP32 by ONNX Runtime on the CPU, acoustic FP16 by TensorRT, ..." """
    return ", ".join(
        f"{stage} {row.precision.upper()} by {WORDS[row.engine]}"
        for stage in STAGES
        if (row := record.stages[stage])
    )


def read(cache: Cache, bundle_id: str, machine: Machine, orders: Mapping[str, str]) -> Record | None:
    """None where this bundle was not measured on this device as it is now, its engines would be built in
    another way or are gone, or the file is no record."""
    try:
        raw = (cache.folder / _name(bundle_id, machine)).read_bytes()
        found = msgspec.json.decode(raw, type=Record)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    same = is_of(found, bundle_id, machine, orders)
    chosen = [orders.get(file, "") for file in found.engines.values()]
    same = same and all((cache.folder / name).is_file() for name in chosen)
    whole = set(found.stages) == set(STAGES) or (not found.stages and bool(found.refusal or found.passing))
    if not (same and whole):
        return None
    cache.use(_name(bundle_id, machine))
    return found


def is_of(found: Record, bundle_id: str, machine: Machine, orders: Mapping[str, str]) -> bool:
    return (found.bundle, found.machine, found.orders) == (bundle_id, _facts(machine), orders)


def write(cache: Cache, record: Record, machine: Machine, patience: float = PATIENCE_SECONDS) -> None:
    raw = msgspec.json.format(msgspec.json.encode(record), indent=1)
    with cache.locked(patience):
        cache.write(_name(record.bundle, machine), raw + b"\n")


def refuse(cache: Cache, bundle_id: str, machine: Machine, orders: Mapping[str, str], why: str) -> Record:
    """Remember what failed, so that not every start tries it for minutes; where that cannot be, they do."""
    refused = Record(bundle_id, _facts(machine), {}, refusal=why, orders=dict(orders))
    with suppress(EdgevoiceError):
        write(cache, refused, machine, patience=0.0)
    return refused


def put_off(
    cache: Cache, before: Record, machine: Machine, why: str, now: float, free: int | None = None
) -> Record:
    """The record ``before`` with one more try that was in vain; what it chose stays chosen. ``free``: bytes
    that were free, where they were too few."""
    after = msgspec.structs.replace(before, passing=why, tries=before.tries + 1, tried=now, free=free)
    with suppress(EdgevoiceError):
        write(cache, after, machine, patience=0.0)
    return after


def empty(bundle_id: str, machine: Machine, orders: Mapping[str, str]) -> Record:
    """Of a bundle of which nothing is known here."""
    return Record(bundle_id, _facts(machine), {}, orders=dict(orders))


def _name(bundle_id: str, machine: Machine) -> str:
    return f"{bundle_id[:16]}.{machine.key}.json"


def _facts(machine: Machine) -> dict[str, str]:
    return {name: str(value) for name, value in msgspec.to_builtins(machine).items()}
