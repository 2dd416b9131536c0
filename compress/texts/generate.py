"""Sentences from a small grammar: the same seed always gives the same text, with no download."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from edgevoice.errors import EdgevoiceError

GRAMMAR = Path(__file__).with_name("everyday.grammar")
MAX_DEPTH = 12

_SLOT = re.compile(r"\{(=?)(\w+)\}")
_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = [
    "zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
]  # fmt: skip
_ORDINALS = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
    "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth",
    "eighteenth", "nineteenth", "twentieth", "twenty-first", "twenty-second", "twenty-third",
    "twenty-fifth", "thirtieth",
]  # fmt: skip


def words_for(number: int) -> str:
    """Spell a number from 0 to 999,999 in English words."""
    if number < 20:
        return _UNITS[number]
    if number < 100:
        tens, rest = divmod(number, 10)
        return _TENS[tens] + (f"-{_UNITS[rest]}" if rest else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_UNITS[hundreds]} hundred" + (f" and {words_for(rest)}" if rest else "")
    thousands, rest = divmod(number, 1000)
    joint = " and " if 0 < rest < 100 else " "
    return f"{words_for(thousands)} thousand" + (joint + words_for(rest) if rest else "")


def _number(name: str, rng: random.Random) -> str | None:
    if name == "n_small":
        return words_for(rng.randint(2, 14))
    if name == "n_hour":
        return words_for(rng.randint(1, 12))
    if name == "n_tens":
        return words_for(rng.randint(11, 99))
    if name == "n_hundred":
        return words_for(rng.randint(1, 99) * 10)
    if name == "n_any":
        return words_for(int(10 ** rng.uniform(0.3, 5.5)))
    if name == "n_ord":
        return rng.choice(_ORDINALS)
    if name == "digit":
        return _UNITS[rng.randint(0, 9)]
    if name == "year":
        return f"{words_for(rng.randint(16, 20))} {words_for(rng.randint(10, 99))}"
    return None


class Grammar:
    """Rules of the form ``name = choice | choice``; ``{name}`` expands, ``{=name}`` with a capital."""

    def __init__(self, text: str) -> None:
        self.rules: dict[str, list[str]] = {}
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                name, _, choices = line.partition("=")
                self.rules[name.strip()] = [choice.strip() for choice in choices.split(" | ")]

    def expand(self, name: str, rng: random.Random, depth: int = 0) -> str:
        """One random expansion of a rule; an unknown name is an `EdgevoiceError`."""
        number = _number(name, rng)
        if number is not None:
            return number
        if name not in self.rules or depth > MAX_DEPTH:
            raise EdgevoiceError(f"the grammar has no rule {name!r}, or it never ends; correct the file")

        def slot(match: re.Match[str]) -> str:
            text = self.expand(match[2], rng, depth + 1)
            return text[:1].upper() + text[1:] if match[1] else text

        return _SLOT.sub(slot, rng.choice(self.rules[name]))


def everyday(seed: int, path: Path = GRAMMAR) -> Iterator[str]:
    """Endless different sentences of 1 to 30 words, the same for the same seed."""
    grammar, rng, seen = Grammar(path.read_text(encoding="utf-8")), random.Random(seed), set[str]()
    while True:
        sentence = grammar.expand("sentence", rng)
        if len(sentence.split()) <= 30 and sentence not in seen:
            seen.add(sentence)
            yield sentence
