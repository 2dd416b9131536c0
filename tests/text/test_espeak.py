from __future__ import annotations

import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from edgevoice.errors import EdgevoiceError
from edgevoice.text import espeak, phonemizer

reason = espeak.missing()
needs_espeak = pytest.mark.skipif(reason is not None, reason=str(reason))


@needs_espeak
@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Hello, world!", "w, w!"),
        ("Fine; thanks: yes.", "w; w: w."),
        ("Wait — what?", "w— w?"),
        ("Well... yes… no", "w… w… w"),
        ("What?!", "w?"),
        ('"Stop!" he said.', "w! w w."),
        ("a b", "w w"),
        ("x: y", "w: w"),
        ("No end,", "w w,"),
        ("One。Two、three", "w. w, w"),
    ],
)
def test_punctuation_comes_back(text: str, shape: str) -> None:
    words = phonemizer("espeak", "en-us").phonemize(text).split()
    seen = " ".join("w" + word[-1] if word[-1] in ",.!?;:—…" else "w" for word in words)
    assert seen == shape


@needs_espeak
def test_known_notation() -> None:
    assert phonemizer("espeak", "en-us").phonemize("Hello, world!") == "həlˈoʊ, wˈɜːld!"


@needs_espeak
@pytest.mark.parametrize("text", ["", " ", "...", "?!", "\0", "\ud800"])
def test_nothing_to_say_is_empty(text: str) -> None:
    assert phonemizer("espeak", "en-us").phonemize(text) == ""


@needs_espeak
def test_language_switches_leave_no_flags() -> None:
    assert "(" not in phonemizer("espeak", "de").phonemize("Die Software ist gut.")


@needs_espeak
@pytest.mark.parametrize("letter", ["b", "I", "é"])
@pytest.mark.parametrize("count", [1, 3, 4, 7, 30])
@pytest.mark.parametrize("between", [" ", "-"])
def test_no_letter_of_a_row_is_lost(letter: str, count: int, between: str) -> None:
    said = phonemizer("espeak", "en-us").phonemize(between.join([letter] * count) + " Fine.")
    one = {"b": "b", "I": "a", "é": "k"}[letter]
    assert said.removesuffix("fˈaɪn.").count(one) == count


@needs_espeak
def test_code_points_are_decomposed() -> None:
    text = phonemizer("espeak", "fr").phonemize("Bonjour maman, ça va bien ?")
    assert text == unicodedata.normalize("NFD", text)
    assert "\u0303" in text


@needs_espeak
@pytest.mark.parametrize("language", ["en-us", "en_US", "de", "pt-br", "fr-fr"])
def test_languages_known(language: str) -> None:
    assert phonemizer("espeak", language).phonemize("no")


@needs_espeak
@pytest.mark.parametrize("language", ["xx", "", "../x", "ü"])
def test_languages_unknown_are_refused(language: str) -> None:
    with pytest.raises(EdgevoiceError, match="knows no language"):
        phonemizer("espeak", language)


@needs_espeak
def test_threads_with_different_languages_do_not_mix() -> None:
    pair = [phonemizer("espeak", language) for language in ("de", "en-us")]
    want = [one.phonemize("Hello, my name is Ben") for one in pair]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda i: pair[i % 2].phonemize("Hello, my name is Ben"), range(40)))
    assert want[0] != want[1]
    assert got == want * 20


def test_a_missing_library_names_both_ways_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: str) -> None:
        raise OSError

    monkeypatch.setattr(espeak, "_library", None)
    monkeypatch.setattr(espeak.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(espeak.ctypes, "CDLL", nothing)
    with pytest.raises(EdgevoiceError, match=r"espeakng-loader.*apt install"):
        phonemizer("espeak", "en-us")


def test_an_unknown_phonemizer_is_refused() -> None:
    with pytest.raises(EdgevoiceError, match="choose one of"):
        phonemizer("nothing", "en-us")


@needs_espeak
def test_symbols_equal_piper() -> None:
    peer = pytest.importorskip("piper.phonemize_espeak", reason="piper-tts is not installed")
    ids = pytest.importorskip("piper.phoneme_ids")
    from edgevoice.text import piper_table

    table = piper_table(ids.DEFAULT_PHONEME_ID_MAP)
    for text in ("Please call Stella: ask her to bring these things.", "Wait — what? No, really!"):
        said = [*peer.EspeakPhonemizer().phonemize("en-us", text)]
        want = ids.phonemes_to_ids(list(" ".join("".join(one) for one in said)))
        assert table.encode(phonemizer("espeak", "en-us").phonemize(text))[0].tolist() == want
