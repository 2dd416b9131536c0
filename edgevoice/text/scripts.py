"""Writing that is not a language's own: phonemizers spell it letter by letter, guess, or drop it."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache


def _table(text: str) -> dict[str, frozenset[str]]:
    rows = (line.split(": ") for line in text.strip().splitlines())
    return {code: frozenset(scripts.split()) for codes, scripts in rows for code in codes.split()}


OWN = _table("""
af az bs ca cs cy da de en eo es et eu fi fr ga gd gl hr hu id is it lb lt lv ms mt nb nl nn no pl: LATIN
pt ro sk sl sq sv sw tr uz vi: LATIN
ba be bg cv kk ky mk ru sr tt uk: CYRILLIC
el grc: GREEK
ar fa ps sd ug ur: ARABIC
he yi: HEBREW
hi kok mr ne sa: DEVANAGARI
ka: GEORGIAN
hy hyw: ARMENIAN
th: THAI
bn as: BENGALI
ta: TAMIL
te: TELUGU
kn: KANNADA
ml: MALAYALAM
gu: GUJARATI
pa: GURMUKHI
ja: HIRAGANA KATAKANA CJK
cmn yue zh: CJK BOPOMOFO
ko: HANGUL CJK
""")
"""Scripts by language. One that is not here is never said to be written in a foreign script."""

_SCRIPTS = frozenset(script for scripts in OWN.values() for script in scripts)
_SHOWN = {"CJK": "Chinese"}


def foreign_scripts(text: str, language: str) -> list[str]:
    """Names of the scripts in ``text`` that ``language`` is not written in, each once: "Cyrillic", "Chinese".

    Latin letters are at home everywhere, and a Greek letter that stands alone is a sign: "π", "Ω".
    """
    own = OWN.get(language.replace("_", "-").lower().split("-")[0])
    if own is None or text.isascii():
        return []
    found: dict[str, None] = {}
    before = ""
    for char in text:
        script = "" if char.isascii() else _script(char)
        if script and script not in own and script != "LATIN" and (script != "GREEK" or before == script):
            found[_SHOWN.get(script, script.capitalize())] = None
        before = script
    return list(found)


@lru_cache(maxsize=4096)
def _script(char: str) -> str:
    """The first word of a letter's name, if it is a script of the table."""
    first = re.split("[ -]", unicodedata.name(char, ""), maxsplit=1)[0] if char.isalpha() else ""
    return first if first in _SCRIPTS else ""
