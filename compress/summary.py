"""What a run has made, as one table and as JSON."""

from __future__ import annotations

from typing import Any

import msgspec

from compress.pipeline import Result
from edgevoice.manifest import STAGES
from targets.render import columns, mib

HEAD = ("stage", "precision", "engine", "MB", "ms per s", "log-mel L1", "runs in INT8", "chosen")


def table(result: Result) -> str:
    """stage × precision × size × latency × quality, then the plan's total and the voice as a whole."""
    rows = [list(HEAD)]
    described = result.bundle.manifest
    stages = [(name, described.stages[name]) for name in STAGES]
    for name, stage in stages:
        for variant in stage.measured:
            size = variant.bytes / 1e6
            spent = f"{variant.milliseconds:.1f}" if variant.milliseconds is not None else "not measured"
            loss = variant.quality.get("log_mel_l1")
            shown = f"{loss.mean:.3f}" if loss else "0 (reference)" if variant.precision == "fp32" else ""
            layers = str(sum(variant.int8_operators.values()) or "")
            mark = "yes" if variant.file == stage.chosen else "travels" if variant in stage.variants else ""
            rows.append([name, variant.precision, variant.engine, f"{size:.1f}", spent, shown, layers, mark])
    reasons = [f"{name}: {stage.reason}" for name, stage in stages]
    return "\n".join([columns(rows, frozenset({3, 4, 5, 6})), "", *reasons, "", *_closing(result)])


def _closing(result: Result) -> list[str]:
    described = result.bundle.manifest
    plan = result.plan
    lines = ["ms per s: CPU milliseconds of one thread per second of audio, ONNX Runtime, this machine"]
    for name, figure in described.quality.items():
        lines.append(
            f"{name} of the voice: {figure.mean:.3f} ({figure.low:.3f} to {figure.high:.3f}), n={figure.n}"
        )
    if described.not_judged:
        lines.append(f"not judged (the recipe's [judge] measures): {', '.join(described.not_judged)}")
    for reason in described.failed_gate:
        lines.append(f"FAILED THE GATE: {reason}")
    lines.append(
        f"on {plan.target.id}: {mib(plan.total_bytes)} of a budget of {mib(plan.budget_bytes)}"
    )
    lines.append(f"bundle {result.bundle.id[:16]} in {result.bundle.path}")
    return lines


def to_dict(result: Result) -> dict[str, Any]:
    return {
        "bundle": str(result.bundle.path),
        "id": result.bundle.id,
        "manifest": msgspec.to_builtins(result.bundle.manifest),
        "plan": result.plan.to_dict(),
        "exactness": result.exactness,
        "chunked": result.chunked,
    }
