from __future__ import annotations

import itertools
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgevoice.errors import EdgevoiceError
from edgevoice.text import sentences, speakable

CASES = [
    ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    ("Dr. Smith met Mr. J. R. Jones. He left.", ["Dr. Smith met Mr. J. R. Jones.", "He left."]),
    ("It is 3.14 or so. See fig. 3 now.", ["It is 3.14 or so.", "See fig. 3 now."]),
    ("At 5 p.m. we left. At 5 p.m. The end.", ["At 5 p.m. we left.", "At 5 p.m.", "The end."]),
    ("The U.S. Army came. I saw the U.S. The end.", ["The U.S. Army came.", "I saw the U.S.", "The end."]),
    ("At 9 a.m. EST we met.", ["At 9 a.m. EST we met."]),
    ("So do I. Then no. Then yes.", ["So do I.", "Then no.", "Then yes."]),
    ('"Why?" he asked. "Because." So.', ['"Why?" he asked.', '"Because."', "So."]),
    ("No... not that... Well. Yes…", ["No... not that...", "Well.", "Yes…"]),
    ("What?! Really!", ["What?!", "Really!"]),
    (
        "e.g. this, i.e. that, etc. and so on. Etc. Then.",
        ["e.g. this, i.e. that, etc. and so on.", "Etc.", "Then."],
    ),
    ("A line\nbroken here. Next", ["A line broken here.", "Next"]),
    ("Title\n\nText here", ["Title", "Text here"]),
    ("- one\n- two\n1. three\n2. four", ["- one", "- two", "1. three", "2. four"]),
    ("all small. are you there? yes i am.", ["all small.", "are you there?", "yes i am."]),
    ("Visit www.example.com. Version 2.0. Next.", ["Visit www.example.com.", "Version 2.0.", "Next."]),
    ("你好。今天很好！是吗？", ["你好。", "今天很好！", "是吗？"]),
    ("... !!! One.", ["One."]),
    ("", []),
    (" \n\n . \n", []),
]


@pytest.mark.parametrize(("text", "want"), CASES)
def test_sentences_of_english_and_chinese(text: str, want: list[str]) -> None:
    assert list(sentences(text, "en-us", 400)) == want


@pytest.mark.parametrize(("text", "_"), CASES)
def test_pieces_make_no_difference(text: str, _: list[str]) -> None:
    whole = list(sentences(text, "en", 400))
    for size in (1, 3, 7):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert list(sentences(pieces, "en", 400)) == whole


def test_german_ordinals_and_abbreviations() -> None:
    text = "Am 3. Oktober, z.B. hier. Ende."
    assert list(sentences(text, "de", 99)) == ["Am 3. Oktober, z.B. hier.", "Ende."]


def test_a_long_sentence_is_cut_after_a_clause_else_at_a_word_else_anywhere() -> None:
    assert list(sentences("one two, three four five", "en", 14)) == ["one two,", "three four", "five"]
    assert list(sentences("one two three four", "en", 9)) == ["one two", "three", "four"]
    assert list(sentences("a" * 25, "en", 10)) == ["a" * 10, "a" * 10, "a" * 5]


@given(st.text(), st.integers(1, 60))
def test_no_word_is_lost_and_no_sentence_is_too_long(text: str, limit: int) -> None:
    got = list(sentences(text, "en", limit))
    assert all(0 < len(one) <= limit for one in got)
    assert _said("".join(got)) == _said(text)


def _said(text: str) -> str:
    return "".join(char for char in text if speakable(char))


@given(st.text(alphabet="ab .,!?\n\"'1A", max_size=200), st.integers(1, 9))
def test_pieces_never_make_a_difference(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(sentences(pieces, "en", 40)) == list(sentences(text, "en", 40))


def test_an_endless_text_is_read_as_it_is_asked_for() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "word " * 10

    got = list(itertools.islice(sentences(endless(), "en", 100), 50))
    assert all(len(one) <= 100 for one in got)
    assert read < 200


def test_memory_does_not_grow_with_the_text() -> None:
    def peak(length: int) -> int:
        tracemalloc.start()
        for _ in sentences(("word " * 20 for _ in range(length // 100)), "en", 400):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(1000)
    assert peak(100_000) < peak(10_000) + 20_000


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(EdgevoiceError, match="limit of 0"):
        list(sentences("a", "en", 0))
