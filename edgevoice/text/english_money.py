"""Sums of money in English."""

from __future__ import annotations

import re

from edgevoice.text.english_amounts import NUMBER, SIGN, is_one, say, signed
from edgevoice.text.english_numbers import cardinal
from edgevoice.text.english_tables import CURRENCIES, MONEY, NATIONS, SCALES

_SCALE = r"(?: ?(?P<scale>hundred|thousand|million|billion|trillion|[kKMB]|bn|mn|tn|mln|m)\b)?"
_CODE = "|".join(CURRENCIES)
_COMMA = r"(?<![\w.])[0-9]+,[0-9]{2}(?![0-9])"  # "7,50 €"

_BEFORE = re.compile(
    rf"{SIGN}(?P<nation>US|CA|AU|A|C|HK)?(?P<symbol>[$£¥₹]|(?<![0-9])(?<![0-9] )€)"
    rf" ?(?P<number>{NUMBER}){_SCALE}"
)
_AFTER = re.compile(rf"{SIGN}(?P<number>{_COMMA}|(?<![\w.])(?:{NUMBER})) ?(?P<symbol>[€£¥₹¢])")
_CODED = re.compile(
    rf"\b(?:(?P<code>{_CODE}) ?(?P<number>{NUMBER})|(?P<number2>(?<![\w.])(?:{NUMBER})) ?(?P<code2>{_CODE}))"
    rf"{_SCALE}\b"
)


def money(text: str) -> str:
    """ "$7.50" is "seven dollars and fifty cents", "$3.5bn" is "three point five billion dollars"."""
    text = _BEFORE.sub(
        lambda m: _amount(m, m["number"], m["symbol"], m["scale"], NATIONS.get(m["nation"], "")), text
    )
    text = _AFTER.sub(
        lambda m: _amount(m, re.sub(",(?=[0-9]{2}$)", ".", m["number"]), m["symbol"], None, ""), text
    )
    return _CODED.sub(_coded, text)


def _amount(found: re.Match[str], number: str, symbol: str, scale: str | None, nation: str) -> str:
    one, many, part, parts = MONEY[symbol]
    sign = signed(found["sign"])
    plain = number.replace(",", "")
    whole, _, fraction = plain.partition(".")
    if scale:
        return f"{sign}{say(number)} {SCALES.get(scale.lower(), scale)} {nation}{many}"
    if len(fraction) != 2 or not part:
        return f"{sign}{say(number)} {nation}{one if is_one(plain) else many}"
    units, cents = int(whole or 0), int(fraction)
    words = [f"{cardinal(units)} {nation}{one if units == 1 else many}"] if units or not cents else []
    if cents:
        words.append(f"{cardinal(cents)} {part if cents == 1 else parts}")
    return sign + " and ".join(words)


def _coded(found: re.Match[str]) -> str:
    number = found["number"] or found["number2"]
    name = CURRENCIES[found["code"] or found["code2"]]
    scale = f" {SCALES.get(found['scale'].lower(), found['scale'])}" if found["scale"] else ""
    plural = "" if (is_one(number) and not scale) or name in ("yen", "yuan") else "s"
    return f"{say(number)}{scale} {name}{plural}"
