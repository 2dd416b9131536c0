"""A student's pace: L1 of logarithms finds each duration's median, and the sum of medians is too short.

One factor on all durations makes labelled sentences as long as the teacher's, and costs nothing: the
durations are the exponential of the last layer, so it is a number added to that layer's bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from compress.distil.chain import make_chain
from compress.distil.tasks.kokoro import TextSide
from compress.labels.store import Labels
from compress.prune.encoder import TeacherEncoder
from compress.students.encoder import Encoder
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Durations
from edgevoice.runtime.synthesis import expand

SENTENCES = 240
"""A joe sentence's own error varies by 3.5 %: the mean of so many is known to 0.25 %."""

SLOWEST, FASTEST = 4.0, 0.25
"""The most that is mended: what is beyond is no pace, but a head that never learnt; a gate must refuse it."""

HALVINGS = 30


def keep_pace(stage: str, student: nn.Module, labels: Labels) -> float:
    """Give the student its teacher's pace on ``labels``; the factor that its durations were multiplied by.

    ``stage``: that of its training, `text` for a student with both text sides. 1.0, and nothing done, for
    one without durations. Done again, it finds 1 and changes nothing.
    """
    encoder = _encoder(student)
    if encoder is None:
        return 1.0
    chain = make_chain({stage: student}, labels)
    numbers = range(0, len(labels), -(-len(labels) // SENTENCES))
    with _one_thread():
        own = [durations for number in numbers if (durations := chain.durations(number)) is not None]
    factor = factor_for(own, sum(labels.entries[number].frames for number in numbers), rule_of(labels))
    with torch.no_grad():
        encoder.timing_out.bias.add_(math.log(factor))
    return factor


def factor_for(own: Sequence[NDArray[np.float32]], frames: int, rule: Durations) -> float:
    """By what all durations [T] are multiplied so that they give ``frames`` whole frames in all.

    Halved upon, not divided: rounding and the least duration make the sum no straight line.
    """
    joined = np.concatenate(own)
    if not np.isfinite(joined).all():
        raise EdgevoiceError("the encoder student's durations are no numbers; go back to a checkpoint before")
    low, high = math.log(FASTEST), math.log(SLOWEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        short = int(expand(joined, math.exp(-middle), rule).sum()) < frames
        low, high = (middle, high) if short else (low, middle)
    return math.exp((low + high) / 2)


@contextmanager
def _one_thread() -> Iterator[None]:
    """A sentence is too little work to share: on a busy machine the threads wait for one another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rule_of(labels: Labels) -> Durations:
    """As the teachers themselves round: a voice that samples is a Piper voice."""
    return Durations("ceil" if labels.info.noise else "nearest")


def _encoder(student: nn.Module) -> Encoder | TeacherEncoder | None:
    inside = student.encoder if isinstance(student, TextSide) else student
    return inside if isinstance(inside, (Encoder, TeacherEncoder)) else None
