"""English phonemes without espeak-ng: a dictionary, rules, a small model; espeak-ng's American notation.

Part of the base install, no library behind it. See ``data/LICENSES.md`` for where the data come from.
"""

from __future__ import annotations

import re
import threading
import unicodedata

from edgevoice.errors import EdgevoiceError
from edgevoice.text import words
from edgevoice.text.dictionary import Pronouncer, with_s
from edgevoice.text.english_numbers import digits
from edgevoice.text.foreign import to_latin
from edgevoice.text.sounds import split

LANGUAGES = ("en", "en-us")

_TOKEN = re.compile(
    r"(?P<word>[A-Za-z]+(?:['-][A-Za-z]+)*'?)|(?P<number>[0-9]+)"
    r"|(?P<sign>[.,!?;:…—–]+)(?=$|[\s\"')\]}»”])|(?P<dash>—|--+)"
)
_TWO_CAPITALS = words.word_set(
    "no so go on or if in is it at to we he me my by of up do be as an hi ok oh mr ms dr st jr sr"
)
_VOWEL_START = re.compile("[ˈˌ]?[ɑæʌɔaɛɜeɪiouʊəɚɐᵻ]")
_HUMP = re.compile("[A-Z']+(?![a-z])|[A-Z]?[a-z']+")
_PLURAL = re.compile("([A-Z]{2,})'?s")
_SPELT = 5  # a word of capitals up to this long that the dictionary lacks is spelled


class LexiconPhonemizer:
    """American English. Safe to share between threads."""

    name = "lexicon"

    def __init__(self, language: str) -> None:
        """Raises EdgevoiceError for another language or damaged data files."""
        self.language = language.replace("_", "-").lower()
        if self.language not in LANGUAGES:
            raise EdgevoiceError(
                f"the lexicon phonemizer speaks American English only, not {language!r}: "
                "use espeak for other languages"
            )
        self._pronouncer = Pronouncer()
        self._lock = threading.Lock()

    def phonemize(self, text: str) -> str:
        """See `edgevoice.text.base.Phonemizer`. Unknown words are guessed, other scripts spelled by name."""
        clauses = _clauses(to_latin(text))
        shouting = not any(word.islower() for clause, _ in clauses for word in clause)
        parts = []
        with self._lock:
            for clause, sign in clauses:
                if clause:
                    parts.append(" ".join(self._clause(clause, shouting)) + sign)
        return unicodedata.normalize("NFD", " ".join(parts))

    def _clause(self, clause: list[str], shouting: bool) -> list[str]:
        """Phonemes of each word (or fused pair) of a clause."""
        lower = [word.lower() for word in clause]
        said = [self._word(clause, lower, i, shouting) for i in range(len(clause))]
        out: list[str] = []
        i = 0
        while i < len(said):
            pair = (lower[i], lower[i + 1] if i + 1 < len(said) else "")
            following = said[i + 1] if i + 1 < len(said) else ""
            if pair in words.FUSED and i + 2 < len(said):
                out.append(words.FUSED[pair])
                i += 2
            elif pair in words.JOINED and i + 2 < len(said):
                out.append(words.JOINED[pair] + _linked(pair[1], following, said[i + 2]))
                i += 2
            else:
                out.append(_linked(lower[i], said[i], following))
                i += 1
        return out

    def _joined(self, parts: list[str], shouting: bool) -> str:
        """Parts of "well-known" or "ChatGPT", which espeak writes as one word."""
        lower = [part.lower() for part in parts]
        said = [self._word(parts, lower, i, shouting) for i in range(len(parts))]
        return "".join(map(_linked, lower, said, [*said[1:], ""]))

    def _word(self, clause: list[str], lower: list[str], i: int, shouting: bool) -> str:
        word = lower[i]
        parts = _parts(clause[i], self._pronouncer)
        if len(parts) > 1:
            return self._joined(parts, shouting)
        plural = _PLURAL.fullmatch(clause[i])
        if plural and _initials(plural[1], shouting, self._pronouncer):
            return "".join(with_s(split(_spelled(plural[1].lower()))))
        if _initials(clause[i], shouting, self._pronouncer):
            return _spelled(word)
        if i == 0 and word in words.FIRST and len(clause) > 1:
            return words.FIRST[word]
        if i == len(clause) - 1 and word in words.LAST:
            return words.LAST[word]
        letter = word == "a" and (len(clause) == 1 or (clause[i] == "A" and i > 0 and not shouting))
        if word in words.WEAK and not letter:
            return words.WEAK[word]
        if len(word.strip("'")) == 1:
            return words.LETTERS[word.strip("'")]
        if word in words.BOTH:
            return words.BOTH[word][_is_verb(word, lower[i - 1] if i else "")]
        return "".join(self._pronouncer.say(word))


def _clauses(text: str) -> list[tuple[list[str], str]]:
    """Words of each clause and the sign that closes it; digits become words."""
    clauses: list[tuple[list[str], str]] = []
    clause: list[str] = []
    for token in _TOKEN.finditer(text):
        if token["word"]:
            clause.append(token["word"])
        elif token["number"]:
            clause += digits(token["number"]).split(" ")
        else:
            clauses.append((clause, _sign(token["sign"] or "—")))
            clause = []
    clauses.append((clause, ""))
    return clauses


def _sign(run: str) -> str:
    if run.startswith(("...", "…")):
        return "…"
    return "—" if run[0] == "–" else run[0]


def _linked(word: str, said: str, following: str) -> str:
    """The form before ``following``: "the" before a vowel is ðɪ, and a final r is heard."""
    if not _VOWEL_START.match(following):
        return said
    if word in words.LINKED and said == words.WEAK[word]:
        return words.LINKED[word]
    return said + "ɹ" if said.endswith(("ɚ", "ɜː")) else said


def _is_verb(word: str, before: str) -> bool:
    if word in words.MOSTLY_VERB:
        return before not in words.BEFORE_NOUN
    return before in words.BEFORE_VERB


def _parts(word: str, pronouncer: Pronouncer) -> list[str]:
    """Words joined by hyphens, and a name of small and capital letters that no dictionary has."""
    parts = word.split("-")
    if len(parts) > 1 or word.isupper() or word[1:].islower() or word.lower() in pronouncer.dictionary:
        return parts
    first, *rest = _HUMP.findall(word)
    known = all(part.isupper() or part.lower() in pronouncer.dictionary for part in rest)
    return [first, *rest] if known and re.search("[AEIOUYaeiouy]", first) else [word]


def _initials(word: str, shouting: bool, pronouncer: Pronouncer) -> bool:
    """Whether the letters are said one by one: "USB", "X", "hmmm" is not, "NASA" is not."""
    lower = word.lower()
    if not word.isalpha() or len(word) < 2:
        return False
    if not re.search("[aeiouy]", lower):
        return lower not in pronouncer.dictionary or (word.isupper() and lower not in _TWO_CAPITALS)
    if not word.isupper() or (shouting and lower in pronouncer.dictionary):
        return False
    if len(word) == 2:
        return lower not in _TWO_CAPITALS
    return len(word) <= _SPELT and lower not in pronouncer.dictionary


def _spelled(word: str) -> str:
    """Letter names, the main stress on the last."""
    names = [words.LETTERS[letter] for letter in word]
    return "".join(name.replace("ˈ", "ˌ") for name in names[:-1]) + names[-1]
