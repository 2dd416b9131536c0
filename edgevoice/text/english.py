"""English text to words: numbers, dates, money, units, abbreviations, signs.

Written here: what is maintained elsewhere brings a grammar toolkit of many megabytes (NeMo's) or the LGPL
(num2words).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from edgevoice.text import english_amounts as amounts
from edgevoice.text import english_time as time
from edgevoice.text import english_web as web
from edgevoice.text.english_money import money
from edgevoice.text.english_numbers import cardinal, ordinal
from edgevoice.text.english_tables import NUMBERED, TITLES, WORDS

_QUOTES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "\u00a0": " ", "−": "-", "‑": "-", "‐": "-"})
_DIGITS = re.compile(r"[^\x00-\x7f]")

_TITLE = re.compile(rf"\b(?P<word>{'|'.join(TITLES)})\.(?=\s|$)|\b(?P<bare>Mr|Mrs|Ms|Dr)(?= [A-Z])")
_SAINT = re.compile(r"\bSt\.? (?=[A-Z][a-z])")
_NAMED_STREET = re.compile(
    r"\b(?!(?:In|At|The|Near|From|To|Of|And|By|Saint|Mount|Visit)\b)(?P<name>[A-Z][a-z]+) St\.(?=\s|$)"
)
_STREET = re.compile(r"(?<=[a-z0-9] )St\.?(?![\w'])")
_ANY_WORD = "|".join(sorted(map(re.escape, WORDS), key=len, reverse=True))
_DOTTED_WORD = re.compile(rf"(?<![0-9])(?<![0-9] )\b(?P<word>{_ANY_WORD})\.(?!\w)")
_NUMBERED_WORD = re.compile(rf"\b(?P<word>{'|'.join(NUMBERED)})\. ?(?=[0-9])")
_VERSUS = re.compile(r"(?<=\s)(?:vs|v)(?=\s+[A-Z])")
_INITIALS = re.compile(
    r"(?<![\w.])(?:[A-Za-z]\.){2,}(?P<last>[A-Za-z](?![\w.]))?|\bPh\.?D\.?|\b(?:[A-Z]\.)+(?=[A-Z]\b)"
)

_ROMAN = re.compile(
    r"\b(?P<head>Chapter|Part|Act|Scene|Volume|Vol|Section|Phase|Book|Appendix|Article|Title|Type|Class|Level|Stage"
    r"|Grade|World War|Super Bowl|Episode|Round|Table|Figure|Apollo)"
    r" (?P<numeral>[IVXL]{2,}|[VXL]|I(?=$|[.,:;)]| of | and ))(?!\w)"
)
_KING = re.compile(
    r"\b(?P<head>Henry|Elizabeth|Charles|George|Edward|William|James|Richard|Louis|Philip|Frederick|Peter"
    r"|Catherine|Nicholas|Alexander|Pius|Benedict|Francis|Gregory|Leo|Innocent|Clement|Urban|Ramses|Ptolemy"
    r"|John Paul|Pope John|Napoleon|Wilhelm|Ivan|Mary|Robert|David|Constantine|Otto|Leopold|Albert|Christian"
    r"|Gustav|Darius|Xerxes) (?P<numeral>[IVX]{2,}|V|X)\b"
)
_ROMANS = {"I": 1, "V": 5, "X": 10, "L": 50}
_VALID_ROMAN = re.compile(r"X{0,4}(?:IX|IV|V?I{0,3})|L(?:X{0,3})(?:IX|IV|V?I{0,3})|XL(?:IX|IV|V?I{0,3})")

_SIGNS: tuple[tuple[str, str], ...] = (
    (r"(?<=[0-9]) ?[-–] ?(?=[0-9.]+\s*=)", " minus "),
    (r"(?<=[A-Z])&(?=[A-Z])", " and "),
    (r"\s*&\s*", " and "),
    (r"(?<![\w&])#(?=[0-9])", "number "),
    (r"(?<!\w)#(?=[A-Za-z])", "hashtag "),
    (r"(?<!\w)@(?=\w)", "at "),
    (r"\s*@\s*", " at "),
    (r"\bw/o\b", "without"),
    (r"\bw/(?=\s|[a-z])", "with "),
    (r"\band/or\b", "and or"),
    (r"(?<=\w)\+\+", " plus plus"),
    (r"\b(?P<note>[A-GJ])#", r"\g<note> sharp"),
    (r"\s*(?:\+/-|±)\s*", " plus or minus "),
    (r"(?:(?<=\s)|^)[~≈](?=\s*[0-9])", "about "),
    (r"\s*(?:<=|≤)\s*", " less than or equal to "),
    (r"\s*(?:>=|≥)\s*", " greater than or equal to "),
    (r"\s*(?:!=|≠)\s*", " is not equal to "),
    (r"\s*(?:->|=>|→|⇒)\s*", " to "),
    (r"\s*={1,3}\s*", " equals "),
    (r"\s*<\s+|(?<=\s)<(?=[0-9])", " less than "),
    (r"\s+>\s*|(?<=[\w])>(?=[0-9])", " greater than "),
    (r"(?<=[\w)])\s*÷\s*(?=[\w(])", " divided by "),
    (r"(?<=[0-9])\s*×\s*(?=[0-9])", " times "),
    (r"(?<=[0-9]) \* (?=[0-9])", " times "),
    (r"√\s*", "square root of "),
    (r"∞", " infinity "),
    (r"§+\s*", "section "),
    (r"©", "copyright "),
    (r"®", " registered"),
    (r"™", " trademark"),
    (r"№\s*", "number "),
)
_LATE_SIGNS: tuple[tuple[str, str], ...] = (
    (r"(?<=[0-9]) ?[-–] ?(?=[0-9.]+\s*=)", " minus "),
    (r"\s*\+\s*(?=[\w(])", " plus "),
    (r"(?<=\w)\+", " plus"),
    (r"(?<=[A-Za-z])\s*/\s*(?=[A-Za-z])", " slash "),
    (r"(?<=\w)/(?=\w)", " over "),
    (r"\\", " backslash "),
    (r"%", " percent"),
    (r"°", " degrees"),
    (r"\$", " dollars "),
    (r"€", " euros "),
    (r"£", " pounds "),
    (r"[*_|^{}<>~\[\]]+", " "),
)
_DASHES: tuple[tuple[str, str], ...] = (
    (r"\s+-{1,3}\s+|\s*-{2,3}\s*", " — "),
    (r"\s*—\s*|\s+–\s+", " — "),
    (r"^(?:[-*•–—]\s+)", ""),
)


def _compiled(table: tuple[tuple[str, str], ...]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), words) for pattern, words in table]


def _replacer(table: tuple[tuple[str, str], ...]) -> Callable[[str], str]:
    pairs = _compiled(table)

    def replace(text: str) -> str:
        for pattern, words in pairs:
            text = pattern.sub(words, text)
        return text

    return replace


_signs, _late_signs, _dashes = map(_replacer, (_SIGNS, _LATE_SIGNS, _DASHES))


def normalise(text: str) -> str:
    """One English sentence in words; letters, apostrophes, hyphens and punctuation are all that is left.

    Never raises. Words made of letters are kept, except abbreviations, which are written out.
    """
    text = _ascii_digits(re.sub(r"\s{2,}", " ", text).translate(_QUOTES))
    for step in _STEPS:
        text = step(text)
    return re.sub(r"\s+(?=[,.!?;:](?:\s|$))", "", re.sub(r"\s+", " ", text)).strip()


def _ascii_digits(text: str) -> str:
    """Digits of other scripts, and full-width ones, as 0 to 9."""

    def plain(found: re.Match[str]) -> str:
        value = unicodedata.decimal(found.group(), None)
        return found.group() if value is None else str(value)

    return _DIGITS.sub(plain, text)


def _abbreviations(text: str) -> str:
    text = _NAMED_STREET.sub(lambda m: f"{m['name']} street" + _stop(m), text)
    text = _SAINT.sub("saint ", text)
    text = _STREET.sub(lambda m: "street" + _stop(m), text)
    text = _TITLE.sub(lambda m: TITLES[m["word"] or m["bare"]], text)
    text = _NUMBERED_WORD.sub(lambda m: NUMBERED[m["word"]] + " ", text)
    text = _DOTTED_WORD.sub(lambda m: WORDS[m["word"]] + _stop(m), text)
    return _VERSUS.sub("versus", text)


def _stop(found: re.Match[str]) -> str:
    """The dot of an abbreviation that closes the sentence closes it still."""
    closes = not found.string[found.end() :].strip("\"')”’ ")
    return "." if closes and found.group().endswith(".") else ""


def _initials(text: str) -> str:
    """ "U.S." is "US", which phonemizers spell; "J. R. R." stays as single letters without dots."""
    text = _INITIALS.sub(lambda m: re.sub(r"\.", "", m.group()).upper() + _stop(m), text)
    return re.sub(r"\b([A-Z])\.(?=\s+[A-Z])", r"\1", text)


def _romans(text: str) -> str:
    def chapter(found: re.Match[str]) -> str:
        value = _roman(found["numeral"])
        return f"{found['head']} {cardinal(value)}" if value else found.group()

    def king(found: re.Match[str]) -> str:
        value = _roman(found["numeral"])
        return f"{found['head']} the {ordinal(value)}" if value else found.group()

    return _KING.sub(king, _ROMAN.sub(chapter, text))


def _roman(numeral: str) -> int:
    """Its value, 0 if it is no well-formed numeral."""
    if not _VALID_ROMAN.fullmatch(numeral):
        return 0
    values = [_ROMANS[letter] for letter in numeral]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


_STEPS: tuple[Callable[[str], str], ...] = (
    amounts.ungroup,
    web.addresses,
    time.dates,
    time.weekdays,
    time.times,
    time.decades,
    web.telephones,
    web.versions,
    _abbreviations,
    _romans,
    _initials,
    money,
    amounts.fractions,
    amounts.measures,
    _signs,
    time.years,
    amounts.numbers,
    _late_signs,
    _dashes,
)
