"""What to say of a plan that does not fit: the largest parts, and what would fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from targets.render import mib

if TYPE_CHECKING:
    from targets.planning import Plan, StageCost

# How a stage shrinks, relative to FP32. Weights: read from engines that TensorRT for RTX built of Piper's
# decoder (6.34, 3.17 and 2.25 MiB); stages of which all layers can be INT8 shrink more (0.25 to 0.28).
WEIGHTS = {"fp32": 1.0, "fp16": 0.50, "int8": 0.36}
# Its engines' working memory is this for their kernels, as read for Piper's vocoder (32 to 1,024 frames, FP32
# and FP16), and data that follow precision and chunk (INT8 files keep what lies between layers in FP16).
KERNELS_BYTES = 8 << 20
ENGINE = {"fp32": 1.0, "fp16": 0.50, "int8": 0.50}
ENGINE_HALF_CHUNK = 0.50
# ONNX Runtime keeps more: the cautious ones of what was read.
ARENA = {"fp32": 1.0, "fp16": 0.53, "int8": 0.67}
HALF_CHUNK = 0.60
# Only these run chunk by chunk; the encoder's arena follows the sentence.
CHUNKED = ("acoustic", "vocoder")
CHUNKS = ((0, ""), (1, "half the chunk length"), (2, "a quarter of the chunk length"))


def _chunk(plan: Plan, halvings: int, words: str) -> str:
    """The chunk length in words, with what to write into a recipe where the bundle's is known."""
    frames = (plan.chunk_frames or 0) >> halvings
    return f"{words} ([chunks] long = {frames} in the recipe)" if halvings and frames else words


def _arena(stage: StageCost, engine: str, precision: str, halvings: int) -> float:
    kernels, sizes, half = 0, ARENA, HALF_CHUNK
    if engine == "tensorrt":
        kernels, sizes, half = min(KERNELS_BYTES, stage.arena_bytes), ENGINE, ENGINE_HALF_CHUNK
    chunk = half**halvings if stage.name in CHUNKED else 1.0
    return kernels + (stage.arena_bytes - kernels) * chunk * sizes[precision] / sizes[stage.precision]


def _engine(plan: Plan, stage: StageCost) -> str:
    return stage.engine or plan.target.engine


def _narrower(plan: Plan, stage: StageCost, precision: str) -> bool:
    """Whether the stage could be made narrower by that; ONNX Runtime has FP16 files of none."""
    made = precision != "fp16" or _engine(plan, stage) == "tensorrt"
    return made and WEIGHTS[precision] < WEIGHTS[stage.precision]


def _total(plan: Plan, precision: str, halvings: int) -> int:
    """Estimated, each stage at the narrower of two precisions; the stages of an engine share an arena."""
    weights, arenas = 0.0, dict.fromkeys((_engine(plan, stage) for stage in plan.stages), 0.0)
    for stage in plan.stages:
        engine, now = _engine(plan, stage), stage.precision
        to = precision if _narrower(plan, stage, precision) else now
        weights += stage.weights_bytes * WEIGHTS[to] / WEIGHTS[now]
        arenas[engine] = max(arenas[engine], _arena(stage, engine, to, halvings))
    return int(weights + sum(arenas.values())) + plan.row("buffers").bytes + plan.row("runtime").bytes


def smaller(plan: Plan) -> Iterator[tuple[str, int]]:
    """Ways to a smaller plan with their total bytes: the caller's own, then estimated ones, mildest first."""
    yield from plan.alternatives
    # A precision is one change and changes no latency, so each is tried whole before chunks get shorter.
    for halvings, words in CHUNKS:
        chunk = _chunk(plan, halvings, words)
        widest = sorted(plan.target.precisions, key=lambda p: -WEIGHTS[p])
        if halvings:
            yield f"{chunk} (estimate)", _total(plan, "fp32", halvings)
        for precision in widest:
            if any(_narrower(plan, stage, precision) for stage in plan.stages):
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
