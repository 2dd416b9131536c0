"""Which files of each stage travel, which one speaks, and the sentence that says why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevoice import manifest
from edgevoice.manifest import StageName

if TYPE_CHECKING:
    from compress.measuring import Heard, Measuring

WORTH = 1.05
"""INT8 must be this many times as fast as FP32: below it, what a measurement varies by decides."""


@dataclass(frozen=True)
class Measured:
    """A variant, and why it is refused, if it is; ``path`` None: it was never written.

    ``searched``: the search for its layers, as `calibration.sensitivity.Sensitivity.json` says it. ``lost``:
    an INT8 file's mean log-mel L1 on the sentences of that search. ``instead``: why a set of more layers was
    refused, where this one stands in its place.
    """

    path: Path | None
    variant: manifest.Variant
    refused: str = ""
    searched: Mapping[str, Any] | None = None
    lost: float | None = None
    instead: str = ""


@dataclass(frozen=True)
class Choice:
    """Of one stage: what ONNX Runtime runs, what travels, what else was measured, and why."""

    chosen: Measured
    travelling: tuple[Measured, ...]
    tried: tuple[Measured, ...]
    reason: str


@dataclass(frozen=True)
class Settled:
    """All stages' choices and how the voice sounds that they make; ``files``: those that are not FP32."""

    choices: Mapping[StageName, Choice]
    files: Mapping[StageName, Path]
    heard: Heard
    failed: tuple[str, ...]
    not_judged: tuple[str, ...]

    @property
    def spoken(self) -> dict[StageName, Path]:
        """What ONNX Runtime speaks with, all stages."""
        return {stage: one.chosen.path for stage, one in self.choices.items() if one.chosen.path}

    def searched(self) -> dict[str, Mapping[str, Any]]:
        """The search of each file that had one, by its name, whether or not it travels."""
        rows = (row for one in self.choices.values() for row in (*one.travelling, *one.tried))
        return {row.variant.file: row.searched for row in rows if row.searched is not None}


def settle(
    run: Measuring,
    rows: dict[StageName, list[Measured]],
    also: Callable[[Mapping[StageName, Path]], Sequence[str]] | None = None,
    keep: bool = False,
) -> Settled:
    """Choose per stage, then judge the voice as a whole; while it fails, what loses most gives way.

    Each stage may pass alone and the voice still fail, for the losses add up. An INT8 file gives way to one
    of fewer layers that passes; any other file, or where no such set is left, to FP32. ``also``: a second
    judge of the files that replace FP32, asked for its reasons where the first has none. ``keep``: nothing
    is left out for its loss; the reasons are in ``failed``.

    A target with TensorRT is settled twice, for where TensorRT cannot be used its voice speaks by ONNX
    Runtime; the result's ``files`` and ``heard`` are TensorRT's, with ONNX Runtime's file of a stage that
    TensorRT would take none of.
    """
    if not keep:
        rows = {stage: [_passing(run, stage, one, row[0]) for one in row] for stage, row in rows.items()}
    if run.target.engine != "tensorrt":
        return _settle(run, rows, _for_cpu, also, keep)
    cpu = _settle(run, {s: _of(row, "onnxruntime") for s, row in rows.items()}, _for_cpu, also, keep)
    others = {s: _of(row, "tensorrt") for s, row in rows.items()}
    for stage, row in rows.items():
        if not _reads(row[0]):
            others[stage].insert(0, cpu.choices[stage].chosen)
    gpu = _settle(run, others, _for_tensorrt, also, keep)
    choices = {stage: _joined(cpu.choices[stage], gpu.choices[stage]) for stage in rows}
    failed = tuple(dict.fromkeys((*gpu.failed, *cpu.failed)))
    return replace(gpu, choices=choices, failed=failed)


def _reads(row: Measured) -> bool:
    """Whether TensorRT does."""
    return row.variant.engine in ("any", "tensorrt")


def _of(rows: Sequence[Measured], engine: str) -> list[Measured]:
    """What the engine reads."""
    return [row for row in rows if row.variant.engine in ("any", engine)]


def _joined(cpu: Choice, gpu: Choice) -> Choice:
    """ONNX Runtime's file first; FP32 travels only where one of the two engines has nothing smaller."""
    travelling = {row.variant.file: row for row in (cpu.chosen, *gpu.travelling)}
    tried = {row.variant.file: row for row in (*cpu.tried, *gpu.tried) if row.variant.file not in travelling}
    reason = f"by TensorRT: {gpu.reason}; by ONNX Runtime, where only that runs: {cpu.reason}"
    return Choice(cpu.chosen, tuple(travelling.values()), tuple(tried.values()), reason)


def _settle(
    run: Measuring,
    rows: dict[StageName, list[Measured]],
    choose: Callable[[Sequence[Measured], bool], Choice],
    also: Callable[[Mapping[StageName, Path]], Sequence[str]] | None,
    keep: bool,
) -> Settled:
    while True:
        choices = {stage: choose(row, keep) for stage, row in rows.items()}
        smallest = {stage: choice.travelling[-1] for stage, choice in choices.items()}
        small = {s: row for s, row in smallest.items() if row is not rows[s][0]}
        narrow = {s: row.path for s, row in smallest.items() if row.variant.precision != "fp32"}
        files = {s: path for s, path in narrow.items() if path}
        heard = run.voice(files, "whole")
        verdict = run.verdict(heard)
        reasons = (*verdict.reasons, *heard.broken)
        if keep:
            kept = (row for choice in choices.values() for row in choice.travelling if row.refused)
            reasons = (*reasons, *(f"{row.variant.file}: {row.refused}" for row in kept))
        elif also and small and not reasons:
            reasons = tuple(also(files))
        if keep or not small or not reasons:
            return Settled(choices, files, heard, reasons, verdict.unmeasured)
        worst = max(small, key=lambda stage: _loss(small[stage]))
        out = small[worst]
        why = f"with the other stages' files it fails the gate: {reasons[0]}"
        less = _passing(run, worst, replace(out, refused=why), rows[worst][0])
        rows = {**rows, worst: [less if row is out else row for row in rows[worst]]}


def _passing(run: Measuring, stage: StageName, row: Measured, plain: Measured) -> Measured:
    """A refused INT8 file with so few layers that it passes, where a search finds that; else ``row``, as of a
    file that is too slow for ONNX Runtime already."""
    if row.path and row.variant.engine == "onnxruntime" and _speed(plain, row) < WORTH:
        return row
    found: Measured | None = row
    while found is not None and found.refused:
        found = run.fewer(stage, found, plain)
    if found is None or found is row:
        return row
    return replace(found, instead=row.instead or row.refused)


def _loss(row: Measured) -> float:
    figure = row.variant.quality.get("log_mel_l1")
    return figure.mean if figure else 0.0


def _for_cpu(rows: Sequence[Measured], keep: bool) -> Choice:
    """The fastest file that passed the gate, or may fail it, and is worth it travels alone."""
    plain, others = rows[0], rows[1:]
    best, why, against = plain, "nothing smaller was tried", []
    for candidate in others:
        name, more = _named(candidate)
        if candidate.path is None:
            against.append(f"{name} could not be made ({candidate.refused})")
            continue
        speed = _speed(plain, candidate)
        what = f"{name} is {speed:.2f} times as fast as FP32"
        if candidate.refused and not keep:
            against.append(f"{what} but fails the gate: {candidate.refused}")
        elif speed < WORTH:
            against.append(f"{what}, not worth its loss{more}")
        elif best is plain or _speed(best, candidate) > 1:
            verdict = f"fails the gate: {candidate.refused}" if candidate.refused else "passes the gate"
            best, why = candidate, f"{what} and {verdict}{more}"
    reason = "; ".join(against) if best is plain and against else why
    return Choice(best, (best,), tuple(row for row in rows if row is not best and row.path), reason)


def _for_tensorrt(rows: Sequence[Measured], keep: bool) -> Choice:
    """All that passed the gate or may fail it, else the first: FP32, or ONNX Runtime's where TensorRT would
    not take that. The device times and chooses."""
    plain = rows[0]
    passed = [row for row in rows[1:] if row.path and (keep or not row.refused)]
    missing = [
        f"{row.variant.precision.upper()} {'fails the gate' if row.path else 'could not be made'}: "
        f"{row.refused}"
        for row in rows[1:]
        if row.refused
    ]
    names = " and ".join("".join(_named(row)) for row in passed)
    why = "FP32" if _reads(plain) else "nothing, it would not take FP32"
    if passed:
        why = f"the device times {names} and chooses"
    tried = tuple(row for row in rows if row.path and row not in passed and (passed or row is not plain))
    return Choice(plain, tuple(passed) or (plain,), tried, "; ".join([why, *missing]))


def _named(row: Measured) -> tuple[str, str]:
    """What a smaller file is, and why it is not of more layers, if it could have been."""
    name = row.variant.precision.upper()
    return (f"{name} in fewer layers", f" (in more: {row.instead})") if row.instead else (name, "")


def _speed(slow: Measured, fast: Measured) -> float:
    return (slow.variant.milliseconds or 0.0) / (fast.variant.milliseconds or float("inf"))
