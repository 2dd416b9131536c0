"""Whether a voice can be loaded beside the one that this process speaks with: what it will take, and of what.

A voice for a GPU is judged by the record of its engines, or before there is one by the plan that they are
built under; the stages that ONNX Runtime runs by the CPU's plan.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from edgevoice import budget
from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, StageName
from edgevoice.options import Wish
from edgevoice.runtime import choice
from targets import load, memory
from targets.render import megabytes


@dataclass(frozen=True)
class Room:
    """Bytes that a voice takes beside another, and that are free. ``gpu``: of a card's own memory."""

    needs: int
    free: int
    gpu: bool = False

    @property
    def enough(self) -> bool:
        return self.needs <= self.free


def beside(made: Bundle, wish: Wish) -> list[Room]:
    """The rooms that must be enough. Raises `EdgevoiceError` for a voice that has none here even alone.

    The libraries are there already, and the context is once free memory is asked for.
    """
    found = _on_gpu(made, wish) if choice.tries_gpu(made.manifest, wish) else None
    return _on_cpu(made, STAGES) if found is None else found


def _on_cpu(made: Bundle, stages: Sequence[StageName]) -> list[Room]:
    planned, there = budget.of(made.manifest, load("cpu"), stages=stages), memory.read()
    if planned.total_bytes > there.total:
        raise EdgevoiceError(
            f"the release needs {megabytes(planned.total_bytes)}, and the service may use "
            f"{megabytes(there.total)}: raise the limit, or deploy a smaller voice"
        )
    return [Room(planned.total_bytes - planned.row("runtime").bytes, there.available)]


def _on_gpu(made: Bundle, wish: Wish) -> list[Room] | None:
    """None where the voice will not speak with the GPU, or nothing is known of what that takes."""
    from edgevoice.runtime.engines.tensorrt import here, prepare

    try:
        place = here.find(made, wish)
        recorded, target = place.recorded(), prepare.device()
        free = prepare.free_memory(place.cuda, target)
    except EdgevoiceError:
        return None  # loading will say so
    shared = place.cuda.device().integrated
    if recorded is None or (not recorded.stages and recorded.due(time.time(), free)):
        if target is None or not (planned := budget.of(made.manifest, target, wish="tensorrt")).fits:
            return None
        return [Room(planned.total_bytes, free, not shared)]  # the builder's process has libraries of its own
    if recorded.memory is None:
        return None
    rest = [stage for stage in STAGES if recorded.stages[stage].engine == "onnxruntime"]
    others = _on_cpu(made, rest) if rest else []
    if shared:
        return [Room(recorded.memory.taken + sum(room.needs for room in others), free)]
    return [Room(recorded.memory.taken, free, gpu=True), *others]
