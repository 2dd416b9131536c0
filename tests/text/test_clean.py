from __future__ import annotations

import pytest

from edgevoice.text import clean, speakable


@pytest.mark.parametrize(
    ("text", "left", "note"),
    [
        ("plain", "plain", None),
        ("one\ntwo\tthree", "one\ntwo\tthree", None),
        ("bell\x07 rings", "bell  rings", "1 control character"),
        ("a\x00\x01b", "a b", "1 control character"),
        ("hi 😀!", "hi  !", "1 emoji"),
        ("👩‍👩‍👧 and 👍🏽 ❤️", "  and    ", "emoji"),
        ("so\u00adft hy\u200bphen\ufeff", "soft hyphen", None),
        ("\ud800x", " x", "control"),
        ("cafe\u0301", "café", None),
        ("20 °C ©", "20 °C ©", None),
        ("x\x00 😀", "x   ", "1 control character and 1 emoji"),
        ("Sch\ufffdne Gr\udcfc\udcdfe", "Sch ne Gr e", "not UTF-8"),
        ("<speak>Good morning.</speak>", "Good morning.", "SSML"),
        ('<?xml version="1.0"?>\n<p>One<break time="1s"/>two.</p>', "One two.", "SSML"),
        ("<prosody rate='slow'\n pitch = \"+2st\">Slow</prosody >", "Slow", "SSML"),
        ('<mstts:express-as style="sad">Oh.</mstts:express-as>', "Oh.", "SSML"),
        ("un<emphasis>believ</emphasis>able", "unbelievable", "SSML"),
        ('<s>It<prosody rate="slow"><emphasis>\'s</emphasis></prosody></s>', "It's", "SSML"),
        ("Stop.<emphasis>Now</emphasis>!", "Stop. Now !", "SSML"),
        ("one<break/>two<p>three</p>", "one two three", "SSML"),
        ("a <emphasis>b</emphasis> c", "a b c", "SSML"),
        ("<s>a &lt; b &amp; c</s>", "a < b & c", "SSML"),
        ("a &lt; b", "a &lt; b", None),
        ("a < b and c > d", "a < b and c > d", None),
        ("x <s or p> y, <b>, <sub, <speaker>", "x <s or p> y, <b>, <sub, <speaker>", None),
    ],
)
def test_what_cannot_be_said_goes_with_a_note(text: str, left: str, note: str | None) -> None:
    notes: list[str] = []
    assert clean(text, notes.append).split() == left.split()
    if note is None:
        assert notes == []
    else:
        assert len(notes) == 1
        assert note in notes[0]


def test_many_unclosed_tags_take_no_long_time() -> None:
    text = ("<p " + "a='b' " * 50 + " " * 1000) * 200 + "<p" + " " * 200_000 + "<p a='" + "b" * 200_000
    assert clean(text) == text


def test_words_are_not_joined() -> None:
    assert clean("one\x00two") == "one two"


@pytest.mark.parametrize("text", ["", " ", "...", "?!", "ˈˌː", "—", "😀"])
def test_nothing_to_say(text: str) -> None:
    assert not speakable(clean(text))


@pytest.mark.parametrize("text", ["a", "7", "həlˈoʊ", "你", "?a"])
def test_something_to_say(text: str) -> None:
    assert speakable(text)
