"""What all tasks share: the task's protocol, and how segments are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.distil.config import recipe_key
from compress.labels.store import Labels
from edgevoice.errors import EdgevoiceError

Batch = dict[str, Tensor]


class Task(Protocol):
    """``batch`` depends on the step alone, so that a resumed run sees what an uninterrupted one would.

    A task that learns from audio says so by ``hears = True``, one with an ``adversary`` names its table.
    """

    stage: Any
    labels: Labels

    def student(self) -> nn.Module: ...

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch: ...

    def loss(self, student: nn.Module, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]: ...


def blank(task: Task) -> nn.Module:
    """A student to put trained weights into: of its shape, where its starting weights take long to make."""
    make: Callable[[], nn.Module] = getattr(task, "blank", task.student)
    return make()


def task_key(task: Task) -> str:
    """What a checkpoint of this task must agree with: the task's own ``key``, or that of its recipe table."""
    key: str = getattr(task, "key", "") or recipe_key(task.stage)
    return key


class Segments:
    """Draws segments of ``frames`` frames from utterances that are that long, every frame equally likely.

    Ends are drawn too: there the student sees the same zero padding as when it speaks.
    """

    def __init__(self, labels: Labels, frames: int, seed: int, with_audio: bool = False) -> None:
        """``with_audio``: only from those whose audio is there."""
        lengths = np.array([entry.frames for entry in labels.entries])
        heard = np.array([entry.with_audio or not with_audio for entry in labels.entries])
        self.usable = np.flatnonzero((lengths >= frames) & heard)
        if not len(self.usable):
            kind = "labelled utterance with its audio" if with_audio else "labelled utterance"
            raise EdgevoiceError(f"no {kind} has {frames} frames; label more, or train on fewer")
        self.lengths, self.frames, self.seed = lengths, frames, seed
        weights = lengths[self.usable].astype(np.float64)
        self.cumulative = np.cumsum(weights / weights.sum())

    def draw(self, step: int, items: int, edge: int) -> list[tuple[int, int]]:
        """(utterance, first frame) of each item; starts up to ``edge`` outside are clipped to the ends."""
        rng = np.random.default_rng((self.seed, step))
        places = np.searchsorted(self.cumulative, rng.random(items)).clip(max=len(self.usable) - 1)
        drawn = []
        for utterance in self.usable[places]:
            last = int(self.lengths[utterance]) - self.frames
            start = int(rng.integers(-edge, last + edge + 1))
            drawn.append((int(utterance), min(max(start, 0), last)))
        return drawn

    def mask(self, drawn: list[tuple[int, int]], context: int) -> NDArray[np.float32]:
        """[B,F]: 1 where a segment has its whole context, which the ends of an utterance always have."""
        result = np.zeros((len(drawn), self.frames), np.float32)
        for item, (utterance, start) in enumerate(drawn):
            first = 0 if start == 0 else context
            last = self.frames if start + self.frames == self.lengths[utterance] else self.frames - context
            result[item, first:last] = 1
        return result
