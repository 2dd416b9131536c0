from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgevoice.manifest import Chunks
from edgevoice.runtime.chunks import spans, window

LENGTHS = st.integers(1, 60)


@given(st.integers(0, 2000), LENGTHS, LENGTHS)
def test_spans_cover_every_frame_once_and_double(frames: int, first: int, long: int) -> None:
    cut = list(spans(frames, Chunks(first, long)))
    assert [frame for start, stop in cut for frame in range(start, stop)] == list(range(frames))
    lengths = [stop - start for start, stop in cut]
    wanted = [first]
    while len(wanted) < len(lengths):
        wanted.append(min(long, 2 * wanted[-1]))
    assert lengths[:-1] == wanted[: len(lengths)][:-1]
    assert max(lengths, default=0) <= max(first, long)
    if len(lengths) > 1:
        assert 0 < lengths[-1] <= 1.5 * wanted[len(lengths) - 1]


def test_spans_of_the_manifest_s_two_lengths() -> None:
    assert list(spans(100, Chunks(8, 32))) == [(0, 8), (8, 24), (24, 56), (56, 88), (88, 100)]
    assert list(spans(0, Chunks(8, 32))) == []
    assert list(spans(200, Chunks(8, 64, growth=4))) == [(0, 8), (8, 40), (40, 104), (104, 168), (168, 200)]


def test_a_short_rest_joins_the_chunk_before_it() -> None:
    assert list(spans(32, Chunks(8, 32))) == [(0, 8), (8, 32)]
    assert list(spans(33, Chunks(8, 32))) == [(0, 8), (8, 24), (24, 33)]
    assert list(spans(25, Chunks(8, 16))) == [(0, 8), (8, 24), (24, 25)]  # 17 would be more than a long one
    assert list(spans(9, Chunks(8, 32))) == [(0, 8), (8, 9)]  # the first sound does not wait


@given(st.integers(1, 300), st.data(), st.integers(0, 40), st.integers(1, 4))
def test_a_window_holds_its_context_and_crops_back_to_what_was_wanted(
    frames: int, data: st.DataObject, context: int, rate: int
) -> None:
    start = data.draw(st.integers(0, frames - 1))
    stop = data.draw(st.integers(start + 1, frames))
    place = window(start, stop, context, frames)
    assert place.left == max(0, start - context)
    assert place.right == min(frames, stop + context)
    steps = [step for frame in range(place.left, place.right) for step in [frame] * rate]
    assert steps[place.crop(rate)] == [frame for frame in range(start, stop) for _ in range(rate)]
