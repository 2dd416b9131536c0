"""What a run has made, as one table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from compress.pipeline import Result
from edgevoice.manifest import STAGES, Manifest, Measure, Stage, StageName, Variant
from targets.render import columns, mib

HEAD = ("stage", "precision", "engine", "MiB", "ms per s", "log-mel L1", "runs in INT8", "chosen")


def table(result: Result) -> str:
    """stage × precision × size × latency × quality, sums, then the voice as a whole against the gate."""
    stages = [(name, result.bundle.manifest.stages[name]) for name in STAGES]
    rows = [list(HEAD), *(_row(name, stage, v) for name, stage in stages for v in stage.measured)]
    rows += _sums(result, [stage for _, stage in stages])
    reasons = [f"{name}: {stage.reason}" for name, stage in stages]
    return "\n".join([columns(rows, frozenset({3, 4, 5, 6})), "", *reasons, "", *_closing(result)])


def _row(name: StageName, stage: Stage, variant: Variant) -> list[str]:
    loss = variant.quality.get("log_mel_l1")
    shown = f"{loss.mean:.3f}" if loss else "reference" if variant.precision == "fp32" else ""
    layers = str(sum(variant.int8_operators.values()) or "")
    if layers and variant.engine == "tensorrt":  # its builder decides, on the device
        layers += " asked for"
    mark = "yes" if variant.file == stage.chosen else "travels" if variant in stage.variants else ""
    figures = _size(variant.bytes), _spent([variant]), shown, layers
    return [name, variant.precision, variant.engine, *figures, mark]


def _sums(result: Result, stages: Sequence[Stage]) -> Iterator[list[str]]:
    """All stages together: before, and the smallest that travels, which is what the voice is judged with."""
    plain = [variant for stage in stages for variant in stage.measured if variant.precision == "fp32"]
    smallest = [stage.variants[-1] for stage in stages]
    loss = result.bundle.manifest.quality.get("log_mel_l1")
    spoken = all(row.file == stage.chosen for row, stage in zip(smallest, stages, strict=True))
    yield _sum("fp32", plain, "reference")
    yield _sum("chosen" if spoken else "smallest", smallest, f"{loss.mean:.3f}" if loss else "")


def _sum(name: str, rows: Sequence[Variant], loss: str) -> list[str]:
    return ["all", name, "", _size(sum(row.bytes for row in rows)), _spent(rows), loss, "", ""]


def _size(count: int) -> str:
    return f"{count / (1 << 20):.1f}"


def _spent(variants: Sequence[Variant]) -> str:
    times = [variant.milliseconds for variant in variants if variant.milliseconds is not None]
    return f"{sum(times):.1f}" if len(times) == len(variants) else "not measured"


def _closing(result: Result) -> list[str]:
    described, plan = result.bundle.manifest, result.plan
    lines = [
        "ms per s: CPU milliseconds of one thread per second of audio, ONNX Runtime, this machine; whole "
        "sentences (a device's chunks overlap, which costs more)"
    ]
    if result.seeds_apart:
        lines.append(
            "log-mel L1, in nepers, for scale: the same sentences at another seed of noise, in FP32, are "
            f"{result.seeds_apart:.3f} apart"
        )
    lines += ["", *_judgement("the voice against FP32", described.quality)]
    lines += _against_teacher(result)
    if described.not_judged:
        whom = ", against FP32 unless said otherwise" if described.against_teacher else ""
        lines.append(
            f"not judged (by the measures that the recipe asks for{whom}): {', '.join(described.not_judged)}"
        )
    lines += [f"FAILED THE GATE: {reason}" for reason in described.failed_gate]
    travels = mib(sum(record.bytes for record in described.files.values()))
    lines += ["", f"what travels: {travels} in {len(described.files)} files and the manifest"]
    lines.append(f"on {plan.target.id}: {mib(plan.total_bytes)} of a budget of {mib(plan.budget_bytes)}")
    lines.append(f"bundle {result.bundle.id[:16]} in {result.bundle.path}")
    return lines


def _judgement(title: str, figures: Mapping[str, Measure]) -> list[str]:
    if not figures:
        return []
    rows = [[title, "mean", "95% interval", "sentences", "the gate asks", ""]]
    for name, figure in figures.items():
        interval = f"{figure.low:.3f} to {figure.high:.3f}"
        asked = figure.asked or "not judged"
        rows.append([name, f"{figure.mean:.3f}", interval, str(figure.n), asked, figure.standing])
    lines = columns(rows, frozenset({1, 3})).splitlines()
    if any(figure.standing == "open" for figure in figures.values()):
        lines.append("open: the limit lies inside the interval, so these sentences do not decide")
    return lines


def _against_teacher(result: Result) -> list[str]:
    described = result.bundle.manifest
    found = described.against_teacher
    if found is None:
        return []
    names = [name for name in STAGES if described.stages[name].trained]
    speed = found.speed["teacher_by_student"]
    return [
        "",
        *_judgement("the student in FP32 against its teacher", found.student),
        "",
        *_judgement("the student as shipped against its teacher", found.shipped),
        f"all stages in chunks, as shipped: {speed.mean:.1f} times as fast as the teacher's "
        f"({speed.low:.1f} to {speed.high:.1f}, n={speed.n})",
        f"students: {', '.join(_trained(described, name) for name in names)}",
    ]


def _trained(described: Manifest, name: StageName) -> str:
    card = described.stages[name].trained
    assert card is not None
    return f"{name} ({card.steps} steps in {card.seconds / 3600:.1f} h on {card.label_hours:.1f} h of speech)"


def to_dict(result: Result) -> dict[str, Any]:
    return {
        "bundle": str(result.bundle.path),
        "id": result.bundle.id,
        "manifest": msgspec.to_builtins(result.bundle.manifest),
        "plan": result.plan.to_dict(),
        "exactness": result.exactness,
        "chunked": result.chunked,
        "seeds_apart": result.seeds_apart,
    }
