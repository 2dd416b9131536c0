from __future__ import annotations

import numpy as np
import pytest

from edgevoice.errors import EdgevoiceError
from edgevoice.text import TextTable, piper_table

PIPER = {
    "_": [0],
    "^": [1],
    "$": [2],
    " ": [3],
    ",": [8],
    ";": [12],
    "a": [14],
    "ɪ": [74],
    "aɪ": [161],
    ".": [10],
}
KOKORO = TextTable({"ʧ": (5,), "A": (6,), "t": (7,), " ": (16,)}, (("tʃ", "ʧ"), ("eɪ", "A")), (0,), (0,))


def test_piper_pads_after_every_symbol() -> None:
    ids, skipped = piper_table(PIPER).encode("aɪ,")
    assert ids.dtype == np.int64
    assert ids.tolist() == [1, 0, 14, 0, 74, 0, 8, 0, 2]
    assert skipped == []


def test_piper_clusters_are_matched_whole_only_where_the_voice_names_them() -> None:
    ids, _ = piper_table(PIPER, clusters=[("a", "ɪ")]).encode("aɪa")
    assert ids.tolist() == [1, 0, 161, 0, 14, 0, 2]


def test_piper_marks_are_no_symbols() -> None:
    ids, skipped = piper_table(PIPER).encode("a_^$")
    assert ids.tolist() == [1, 0, 14, 0, 2]
    assert skipped == ["_", "^", "$"]


@pytest.mark.parametrize(("text", "same"), [("a— a", "a; a"), ("a… a", "a, a"), ("a…", "a.")])
def test_piper_voices_read_dash_and_ellipsis(text: str, same: str) -> None:
    table = piper_table(PIPER)
    assert table.encode(text)[0].tolist() == table.encode(same)[0].tolist()


def test_ids_may_be_plain_integers() -> None:
    assert piper_table({"_": 0, "^": 1, "$": 2, "a": 3}).encode("a")[0].tolist() == [1, 0, 3, 0, 2]


def test_replacements_come_before_the_lookup() -> None:
    assert KOKORO.encode("tʃ teɪ")[0].tolist() == [0, 5, 16, 7, 6, 0]


def test_unknown_symbols_are_skipped_and_reported_once() -> None:
    ids, skipped = KOKORO.encode("xtxy")
    assert ids.tolist() == [0, 7, 0]
    assert skipped == ["x", "y"]


def test_nothing_gives_the_marks_alone() -> None:
    assert KOKORO.encode("")[0].tolist() == [0, 0]


@pytest.mark.parametrize("table", [KOKORO, piper_table(PIPER)])
def test_a_table_survives_the_bundle(table: TextTable) -> None:
    assert TextTable.from_dict(table.to_dict()) == table


@pytest.mark.parametrize(
    ("plain", "named"),
    [
        ({"symbols": {}, "colour": 1}, "colour"),
        ({}, "symbols"),
        ({"symbols": {"a": ["x"]}}, "symbols"),
        ({"symbols": {}, "replace": [["a"]]}, "replace"),
    ],
)
def test_a_wrong_table_is_refused_by_the_name_of_its_key(plain: dict[str, object], named: str) -> None:
    with pytest.raises(EdgevoiceError, match=named):
        TextTable.from_dict(plain)


def test_a_map_without_marks_is_no_piper_map() -> None:
    with pytest.raises(EdgevoiceError, match="lacks"):
        piper_table({"a": [1]})


def inner(ids: np.ndarray) -> list[int]:
    """A Piper table's ids without begin, end and the pads that follow."""
    assert ids[:2].tolist() == [1, 0]
    assert ids[-1] == 2
    return [int(number) for number in ids[2:-1:2]]


@pytest.mark.parametrize(
    "phonemes",
    [
        "a" * 100,
        "aɪ " * 50,
        "  a" * 40,
        "aaa aaaa, " * 30,
        "a" * 9 + " " + "a" * 30,
        "a" * 8 + " " * 20 + "a",
        "aXa " * 20,
    ],
)
@pytest.mark.parametrize("most", [5, 8, 21, 22])
def test_parts_are_short_and_no_sound_is_lost(phonemes: str, most: int) -> None:
    table = piper_table(PIPER)
    parts, skipped = table.encode_parts(phonemes, most)
    whole, unknown = table.encode(phonemes)
    assert max(map(len, parts)) <= most
    assert skipped == unknown
    silent = {*PIPER[" "], *PIPER[","]}  # a comma that would be a part of its own says nothing
    spoken = [number for part in parts for number in inner(part) if number not in silent]
    assert spoken == [number for number in inner(whole) if number not in silent]


def test_a_part_ends_at_a_space_where_there_is_one() -> None:
    parts, _ = piper_table(PIPER).encode_parts("aa aɪa aaaaaaaaa a", 13)
    assert [inner(part) for part in parts] == [[14, 14], [14, 74, 14], [14] * 5, [14] * 4, [14]]
    fits, _ = piper_table(PIPER).encode_parts("aa aa", 13)
    assert [inner(part) for part in fits] == [[14, 14, 3, 14, 14]]


def test_a_mark_alone_is_no_part() -> None:
    parts, _ = piper_table(PIPER).encode_parts("aaaaa.", 13)
    assert [inner(part) for part in parts] == [[14] * 5]


def test_ids_are_read_back_as_symbols() -> None:
    table = TextTable({"a": (1,), "tʃ": (2,), "z": (3, 4)}, begin=(8,), end=(9,), between=(0,))
    ids, _ = table.encode("atʃz")
    assert table.symbols_of(ids) == ["^", "a", "", "tʃ", "", "z", "", "", "$"]
