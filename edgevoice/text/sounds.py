"""The sounds of American English in espeak-ng's notation, and what they do to each other.

A word is a list of symbols: one sound each, a vowel with its stress mark before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

VOWELS = (
    "ɑː", "æ", "ʌ", "ɔː", "ɔ", "aʊ", "aɪ", "ɛ", "ɜː", "eɪ", "ɪ", "iː", "i", "oʊ", "ɔɪ", "ʊ", "uː", "ə",
    "ɚ", "ɐ", "ᵻ",
)  # fmt: skip

_SOUNDS = (
    "b tʃ d ð f ɡ h dʒ k l m n ŋ p ɹ s ʃ t θ v w j z ʒ ɾ ʔ n̩ ɑː æ ʌ ɔː ɔ aʊ aɪ ɛ ɜː eɪ ɪ iː i oʊ ɔɪ ʊ"
    " uː ə ɚ ɐ ᵻ ˈ ˌ"
)
CODES = dict(zip("bCdDfghJklmnNprsStTvwjzZFqxAaVOcWIEReiYyoXUu@361'_", _SOUNDS.split(" "), strict=True))
"""One ASCII character for each sound and stress mark, as the dictionary file is written."""

_DECODE = str.maketrans(CODES)
_ENCODE = {sound: code for code, sound in CODES.items()}

_SYMBOL = re.compile("[ˈˌ]?(?:tʃ|dʒ|aʊ|aɪ|eɪ|oʊ|ɔɪ|ɑː|ɔː|ɜː|iː|uː|n̩|[^ˈˌ])")
_SYLLABIC_N = re.compile("tt[eo]n|[ei]aten|certain")
_VOWEL = frozenset(VOWELS)
_BEFORE_TAP = _VOWEL | {"ɹ"}


def split(word: str) -> list[str]:
    """The symbols of a word written as one string."""
    return _SYMBOL.findall(word)


def decode(code: str) -> list[str]:
    """Symbols of a word in the dictionary's code."""
    return split(code.translate(_DECODE))


def encode(symbols: Iterable[str]) -> str:
    """The dictionary's code for a word's symbols."""
    return "".join(
        (_ENCODE[symbol[0]] + _ENCODE[symbol[1:]]) if symbol[0] in "ˈˌ" else _ENCODE[symbol]
        for symbol in symbols
    )


def is_vowel(symbol: str) -> bool:
    return symbol.lstrip("ˈˌ") in _VOWEL


def assimilate(symbols: Iterable[str], word: str) -> list[str]:
    """Taps and syllabic n: "water" has ɾ, "button" ʔn̩; an n before k or ɡ is ŋ. ``word`` is the spelling."""
    sounds = list(symbols)
    syllabic = _SYLLABIC_N.search(word) is not None
    for i in range(len(sounds) - 1):
        after = sounds[i + 1]
        if sounds[i] == "n" and after in ("k", "ɡ"):
            sounds[i] = "ŋ"
        if sounds[i] != "t" or i == 0 or sounds[i - 1].lstrip("ˈˌ") not in _BEFORE_TAP:
            continue
        if after == "ə" and sounds[i + 2 : i + 3] == ["n"] and not any(map(is_vowel, sounds[i + 3 : i + 4])):
            if syllabic:
                sounds[i : i + 3] = ["ʔ", "n̩", ""]
        elif after in _VOWEL:  # without a stress mark
            sounds[i] = "ɾ"
    return [sound for sound in sounds if sound]
