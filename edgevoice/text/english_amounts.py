"""Measures, fractions and plain numbers in English."""

from __future__ import annotations

import re

from edgevoice.text.english_numbers import cardinal, decimal, digits, ordinal, paired
from edgevoice.text.english_tables import FRACTIONS, SCALES, UNITS

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)(?:\.[0-9]+)?|\.[0-9]+"
SIGN = r"(?P<sign>(?<![\w)])[-−–+])?"

_UNIT = "|".join(sorted(map(re.escape, UNITS), key=len, reverse=True))
_NUMBER = rf"(?P<number>(?<![\w.,])(?:{NUMBER}))"  # not the tail of a longer one
_UPPER = r"(?P<upper>[0-9]+(?:\.[0-9]+)?)"
_MEASURE = re.compile(
    rf"{SIGN}{_NUMBER}(?: ?(?:[-–—~]|to) ?{_UPPER})?[  -]?(?P<unit>{_UNIT})(?![\w/²³])(?!-[a-z])"
    r"(?:\.(?=,| [a-z]))?"
)
_PERCENT = re.compile(
    rf"{SIGN}(?P<number>(?<![\w.,])(?:{NUMBER})|(?<![\w.])[0-9]+,[0-9]{{1,2}}(?![0-9]))"
    rf"(?: ?[-–—] ?{_UPPER})? ?(?P<mark>[%‰])"
)
_FEET = re.compile(r"(?<![\w.])(?P<feet>[0-9]+)['′] ?(?P<inches>[0-9]+)(?:\"|″|'')")
_INCHES = re.compile(
    r"(?<![\w.\"])(?P<number>[0-9]+(?:\.[0-9]+)?)(?:″|\"(?= (?:screen|display|monitor|pipe|wheel|by|x)))"
)

_FRACTION = re.compile(
    r"(?<![\w./])(?:(?P<whole>[0-9]+)[ -])?(?P<top>[0-9]{1,2})[/⁄](?P<bottom>[0-9]{1,3})"
    rf"(?:rds?|ths?)?(?![\w/⁄]|[.,][0-9])(?: (?P<unit>{_UNIT})(?![\w/])(?:\.(?=,| [a-z]))?)?"
)
_ORDINAL = re.compile(r"(?<![\w.,])(?P<number>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:st|nd|rd|th)\b")
_TIMES = re.compile(r"(?<=[0-9]) ?[x×] ?(?=[0-9])")
_FOLD = re.compile(rf"{_NUMBER}[x×](?!\w)")
_RANGE = re.compile(
    rf"(?<![\w.,/–—-])(?P<a>{NUMBER}) ?[-–—] ?(?P<b>[0-9]+(?:,[0-9]{{3}})*(?:\.[0-9]+)?)"
    r"(?![\w/–—-]|[.,][0-9])"
)
_RATIO = re.compile(r"(?<![\w.,:])(?P<a>[0-9]+):(?P<b>[1-9][0-9]*)(?![\w:]|[.,][0-9])")
_SHORT_SCALE = re.compile(rf"{_NUMBER}(?P<scale>M|k|bn|mn)\b(?!-)")
_POWER = re.compile(r"(?<=[0-9])\^(?P<power>-?[0-9]+)")
_EXPONENT = re.compile(r"(?<![\w.])(?P<number>[0-9]+(?:\.[0-9]+)?)[eE](?P<power>[+-]?[0-9]+)\b")
_CALLED = re.compile(
    r"(?P<head>\b(?:[Rr]oom|[Ss]uite|[Ff]light|[Bb]us|[Tt]rain|[Rr]oute|[Hh]ighway) (?:[A-Z]{1,3} ?)?)"
    r"(?P<number>[1-9][0-9]{2,3})\b(?![.,][0-9])"
)
_PLAIN = re.compile(rf"{SIGN}(?P<number>{NUMBER})")
_GROUPED = re.compile(r"(?<![0-9])[0-9]{1,3}(?:(?:[\u00a0\u2009\u202f'’][0-9]{3})+|(?: 000)+)(?![0-9])")


def say(number: str) -> str:
    """A numeral with or without thousands commas and decimals."""
    whole, _, fraction = number.replace(",", "").partition(".")
    return decimal(whole, fraction) if fraction else digits(whole)


def signed(sign: str | None) -> str:
    return {"+": "plus "}.get(sign, "minus ") if sign else ""


def is_one(number: str) -> bool:
    return number == "1"


def ungroup(text: str) -> str:
    """Thin spaces and apostrophes between groups of three digits go; a fraction sign becomes two numbers."""
    text = _GROUPED.sub(lambda m: re.sub("[^0-9]", "", m.group()), text)
    for sign, plain in FRACTIONS.items():
        if sign in text:
            text = re.sub(f"(?<=[0-9]){sign}", f" {plain}", text).replace(sign, plain)
    return text


def measures(text: str) -> str:
    """Percentages, lengths in feet and inches, and numbers with a unit."""
    text = _PERCENT.sub(_percent, text)
    text = _FEET.sub(lambda m: f"{digits(m['feet'])} foot {digits(m['inches'])}", text)
    text = _INCHES.sub(lambda m: f"{say(m['number'])} inch{'' if is_one(m['number']) else 'es'}", text)
    return _MEASURE.sub(_measure, text)


def _percent(found: re.Match[str]) -> str:
    number = re.sub(",(?=[0-9]{1,2}$)", ".", found["number"])
    upper = f" to {say(found['upper'])}" if found["upper"] else ""
    return f"{signed(found['sign'])}{say(number)}{upper} {'percent' if found['mark'] == '%' else 'per mille'}"


def _measure(found: re.Match[str]) -> str:
    one, many = UNITS[found["unit"]]
    upper = f" to {say(found['upper'])}" if found["upper"] else ""
    name = one if is_one(found["number"]) and not upper else many
    return f"{signed(found['sign'])}{say(found['number'])}{upper} {name}"


def fractions(text: str) -> str:
    """ "3/4" is "three quarters", "2 1/2" is "two and a half"."""
    return _FRACTION.sub(_fraction, text)


def _fraction(found: re.Match[str]) -> str:
    top, bottom = int(found["top"]), int(found["bottom"])
    if (top, bottom) == (24, 7):
        return "twenty four seven"
    if bottom < 2 or (found["whole"] and top >= bottom):
        return f"{found['whole'] + ' ' if found['whole'] else ''}{cardinal(top)} over {cardinal(bottom)}"
    if bottom > 10 and bottom not in (12, 16, 20, 32, 64, 100):
        words = f"{cardinal(top)} over {cardinal(bottom)}"
    else:
        name = {2: "half", 4: "quarter"}.get(bottom) or ordinal(bottom).replace(" ", "-")
        many = "halves" if bottom == 2 else name + "s"
        words = f"{cardinal(top)} {name if top == 1 else many}"
    if found["whole"]:
        words = f"{digits(found['whole'])} and {re.sub('^one ', 'a ', words)}"
    return f"{words} {UNITS[found['unit']][1 if found['whole'] else 0]}" if found["unit"] else words


def numbers(text: str) -> str:
    """Ordinals, ranges, products, powers, and whatever digits are left."""
    text = _CALLED.sub(lambda m: m["head"] + paired(int(m["number"])), text)
    text = _ORDINAL.sub(lambda m: ordinal(int(m["number"].replace(",", ""))), text)
    text = _EXPONENT.sub(lambda m: f"{say(m['number'])} times ten to the {_power(m['power'])}", text)
    text = _POWER.sub(lambda m: f" to the power of {_power(m['power'])} ", text)
    text = _FOLD.sub(lambda m: f"{say(m['number'])} times", text)
    text = _SHORT_SCALE.sub(lambda m: f"{say(m['number'])} {SCALES[m['scale'].lower()]}", text)
    text = _TIMES.sub(" by ", text)
    text = _RATIO.sub(lambda m: f"{say(m['a'])} to {say(m['b'])}", text)
    text = _RANGE.sub(lambda m: f"{say(m['a'])}{'' if m['a'] == m['b'] else ' to'} {say(m['b'])}", text)
    return _PLAIN.sub(_plain, text)


def _power(digits_of: str) -> str:
    number = int(digits_of[:9])
    return cardinal(number)


def _plain(found: re.Match[str]) -> str:
    """Digits inside a word, as in "B2B" or "mp3", are set apart."""
    before = found.string[found.start() - 1 : found.start()]
    after = found.string[found.end() : found.end() + 1]
    words = signed(found["sign"]) + say(found["number"])
    return (" " if before.isalnum() else "") + words + (" " if after.isalnum() else "")
