"""What to say of a plan that does not fit: the largest parts, and what would fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from targets.render import mib

if TYPE_CHECKING:
    from targets.planning import Plan, StageCost

# How a stage shrinks, relative to FP32. Read from engines that TensorRT for RTX built of Piper's decoder at
# 512 frames: weights 6.34, 3.17 and 2.25 MiB, activations 130, 68 and 86 MiB (INT8 keeps transposed
# convolutions wide).
WEIGHTS = {"fp32": 1.0, "fp16": 0.50, "int8": 0.36}
ARENA = {"fp32": 1.0, "fp16": 0.53, "int8": 0.67}
# Halving the chunk leaves 0.52 of the arena at 512 frames and 0.60 at 128 (same source); the cautious one.
HALF_CHUNK = 0.60
# Only these run chunk by chunk; the encoder's arena follows the sentence.
CHUNKED = ("acoustic", "vocoder")
CHUNKS = ((0, ""), (1, "half the chunk length"), (2, "a quarter of the chunk length"))


def _smaller(stage: StageCost, precision: str, halvings: int) -> tuple[float, float]:
    """Estimated (weights, arena) of a stage at the narrower of two precisions, and at a shorter chunk."""
    now = stage.precision
    if WEIGHTS[precision] >= WEIGHTS[now]:
        precision = now
    chunk = HALF_CHUNK**halvings if stage.name in CHUNKED else 1.0
    weights = stage.weights_bytes * WEIGHTS[precision] / WEIGHTS[now]
    return weights, stage.arena_bytes * chunk * ARENA[precision] / ARENA[now]


def _total(plan: Plan, precision: str, halvings: int) -> int:
    parts = [_smaller(stage, precision, halvings) for stage in plan.stages]
    fixed = plan.row("buffers").bytes + plan.row("runtime").bytes
    return int(sum(weights for weights, _ in parts) + max(arena for _, arena in parts)) + fixed


def smaller(plan: Plan) -> Iterator[tuple[str, int]]:
    """Ways to a smaller plan with their total bytes: the caller's own, then estimated ones, mildest first."""
    yield from plan.alternatives
    # A precision is one change and changes no latency, so each is tried whole before chunks get shorter.
    for halvings, chunk in CHUNKS:
        widest = sorted(plan.target.precisions, key=lambda p: -WEIGHTS[p])
        if halvings:
            yield f"{chunk} (estimate)", _total(plan, "fp32", halvings)
        for precision in widest:
            if any(WEIGHTS[precision] < WEIGHTS[stage.precision] for stage in plan.stages):
                label = precision.upper() + (f" and {chunk}" if chunk else "")
                yield f"{label} (estimate)", _total(plan, precision, halvings)


def _would_fit(plan: Plan) -> str:
    ways = list(smaller(plan))
    for label, total in ways:
        if total <= plan.limit_bytes:
            return f"would fit: {label}, {mib(total)}"
    least = min([total for _, total in ways] + [plan.total_bytes])
    way_out = "free memory on the device" if plan.limit_bytes < plan.budget_bytes else "take a larger target"
    return (
        f"nothing known fits (the smallest, {mib(least)}, is still over): "
        f"{way_out}, or take a recipe with a smaller student"
    )


def refusal(plan: Plan) -> str:
    """One line: what is needed, what is allowed, the largest parts, what would fit."""
    parts = sorted((row for row in plan.rows if row.bytes), key=lambda row: -row.bytes)[:3]
    largest = ", ".join(f"{row.name} {mib(row.bytes)} ({row.mark})" for row in parts)
    free = plan.available_bytes
    if free is not None and free < plan.budget_bytes:
        limit = f"only {mib(free)} are free now (budget {mib(plan.budget_bytes)})"
    else:
        limit = f"the budget is {mib(plan.budget_bytes)} ({plan.target.budget_rule})"
    over = mib(plan.total_bytes - plan.limit_bytes)
    return (
        f"the voice does not fit {plan.target.name}: it needs {mib(plan.total_bytes)} and {limit}, "
        f"{over} too much; largest parts: {largest}; {_would_fit(plan)}"
    )
