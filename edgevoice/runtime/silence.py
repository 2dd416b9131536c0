"""The silence that a voice puts around a sentence: a pause is what was asked for, not what was learnt."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]

LEVEL = 10 ** (-50 / 20)
"""Samples below it are silence."""

LEAD_SECONDS, TAIL_SECONDS = 0.04, 0.08
"""What stays of it: the breath before a consonant, the room after a vowel."""


def trimmed(sound: Iterable[Float], rate: int) -> Iterator[Float]:
    """A sentence in chunks without the silence around it; silence within stays.

    Silence at a chunk's end waits for the next one, which says whether it is within.
    """
    lead, tail = round(LEAD_SECONDS * rate), round(TAIL_SECONDS * rate)
    held, owed = np.empty(0, np.float32), 0
    begun = False
    for chunk in sound:
        held = np.concatenate([held, chunk])
        loud = np.flatnonzero(np.abs(held) > LEVEL)
        if len(loud) == 0:
            held = held if begun else held[-lead:]
            continue
        start, end = 0 if begun else max(0, loud[0] - lead), loud[-1] + 1
        stop = min(len(held), end + tail)
        yield held[start:stop]
        held, owed, begun = held[stop:], end + tail - stop, True
    rest = held[:owed] if begun else held
    if len(rest):
        yield rest
