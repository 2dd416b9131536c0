"""Silence around a sentence goes, silence within stays, however the sound arrives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.runtime.silence import LEAD_SECONDS, TAIL_SECONDS, trimmed

RATE = 1000
LEAD, TAIL = round(LEAD_SECONDS * RATE), round(TAIL_SECONDS * RATE)


def quiet(count: int) -> np.ndarray:
    return np.full(count, 1e-3, np.float32)


def loud(count: int) -> np.ndarray:
    return np.full(count, 0.5, np.float32)


def cut(sound: np.ndarray, places: list[int]) -> list[np.ndarray]:
    return np.split(sound, sorted(place for place in places if place <= len(sound)))


@pytest.mark.parametrize(("before", "after"), [(500, 700), (LEAD, TAIL), (LEAD - 10, TAIL - 10), (0, 0)])
@given(places=st.lists(st.integers(0, 2000), max_size=12))
def test_what_stays_does_not_depend_on_the_chunks(before: int, after: int, places: list[int]) -> None:
    spoken = np.concatenate([loud(100), quiet(400), loud(3)])
    whole = np.concatenate([quiet(before), spoken, quiet(after)])
    kept = np.concatenate(list(trimmed(cut(whole, places), RATE)))
    assert len(kept) == min(before, LEAD) + len(spoken) + min(after, TAIL)
    assert np.array_equal(kept, whole[max(0, before - LEAD) :][: len(kept)])


def test_silence_waits_for_what_follows_and_sound_does_not() -> None:
    arrived: list[int] = []

    def chunks():
        for number, chunk in enumerate([quiet(100), loud(100), quiet(100), loud(100)]):
            arrived.append(number)
            yield chunk

    stream = trimmed(chunks(), RATE)
    assert len(next(stream)) == LEAD + 100
    assert arrived == [0, 1]
    assert len(next(stream)) == 100 + 100


def test_a_sentence_of_silence_is_short_but_there() -> None:
    assert len(np.concatenate(list(trimmed([quiet(500), quiet(500)], RATE)))) == LEAD
