"""Other scripts in English text: accents are dropped, other letters are said by their Unicode names."""

from __future__ import annotations

import re
import unicodedata

_PLAIN = re.compile(r"[\x00-\x7f]*")
_APART = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "th", "þ": "th", "ł": "l", "ı": "i", "ŋ": "ng",
    "ħ": "h", "’": "'", "‘": "'", "ʼ": "'", "…": "…", "—": "—", "–": "–",
}  # fmt: skip
_NAMELESS = "character"


def to_latin(text: str) -> str:
    """``text`` with no letters but a to z: "Zoë" gives "Zoe", "π" gives "pi", "か" gives "ka"."""
    if _PLAIN.fullmatch(text):
        return text
    out = []
    for char in unicodedata.normalize("NFC", text):
        out.append(char if char.isascii() else _latin(char))
    return "".join(out)


def _latin(char: str) -> str:
    apart = _APART.get(char.lower())
    if apart is not None:
        return apart.upper() if char.isupper() else apart
    base = unicodedata.normalize("NFKD", char)
    plain = "".join(one for one in base if one.isascii())
    if plain:
        return plain
    if not char.isalnum():
        return "" if unicodedata.combining(char) else " " if char.isspace() else char
    if char.isdigit():
        return str(unicodedata.digit(char, 0))
    return f" {_name(char)} "


def _name(char: str) -> str:
    """The last word of the character's name: "alpha", "ka", "beh"; ideographs have no name to say."""
    name = unicodedata.name(char, "")
    name = name.split(" WITH ")[0].removesuffix(" ISOLATED FORM")
    last = name.split(" ")[-1].lower()
    return last if last.isascii() and last.isalpha() else _NAMELESS
