"""Addresses, telephone numbers and versions in English."""

from __future__ import annotations

import re

from edgevoice.text.english_numbers import digits, spell

_TOP = (
    "com|org|net|edu|gov|mil|int|info|io|ai|dev|app|co|uk|de|fr|es|it|nl|eu|us|ca|au|jp|cn|in|ch|at|be|se|no|pl|ru|br"
    "|tv|me|xyz|local|pdf|txt|md|csv|json|xml|html|htm|py|js|wav|mp3|mp4|png|jpg|jpeg|gif|zip|exe|docx?|xlsx?|onnx"
)
_HOST = rf"(?:[A-Za-z0-9_-]+\.)+(?:{_TOP})"
_TAIL = r"(?::[0-9]+)?(?:[/?#][^\s<>\"]*)?"
_MAIL = re.compile(r"(?<![\w.])[\w.+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}\b")
_URL = re.compile(
    r"(?<![\w@])(?:https?|ftp|file)://[^\s<>\"]+"
    r"|(?<![\w@])www\.[A-Za-z0-9-]+\.[^\s<>\"]+"
    rf"|(?<![\w@.])(?:{_HOST})\b(?![\w@]|\.\w){_TAIL}"
)
_SCHEME = re.compile(r"^(?:https?|ftp|file)://", re.IGNORECASE)
_TRAILING = re.compile(r"[.,;:!?)\]'’”]+$")
_PART = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]")
_SIGNS = {
    ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals", "&": "and",
    "#": "hash", "%": "percent", ":": "colon", "~": "tilde", "@": "at", "+": "plus", "!": "exclamation mark",
    ",": "comma", ";": "semicolon", "$": "dollar", "*": "star", "'": "apostrophe",
}  # fmt: skip
_SPELT = frozenset(
    ("www", "pdf", "txt", "csv", "html", "htm", "xml", "js", "py", "md", "mp", "uk", "us", "eu", "io")
)
_LONG_DIGITS = 4  # a longer run of digits in an address is read one by one

_PHONE = re.compile(
    r"(?<![\w.])(?P<plus>(?:\+[0-9]{1,3}|1(?=[ .-]))[ .-]?)?"
    r"(?:\((?P<area>[0-9]{3})\)[ .-]?|(?P<plain>[0-9]{3})[ .-])"
    r"(?P<first>[0-9]{3})[ .-](?P<last>[0-9]{4})(?![\w]|\.[0-9])"
)
_LOCAL = re.compile(r"(?<![\w.,/-])(?P<first>[0-9]{3})-(?P<last>[0-9]{4})(?![\w-]|[.,][0-9])")
_ABROAD = re.compile(r"(?<![\w.])\+(?P<all>[0-9]{1,3}(?:[ -][0-9]{2,8}){2,5})(?![\w])")
_AREA = re.compile(
    r"(?<![\w.])\((?P<area>0[0-9]{2,5})\) ?(?P<rest>[0-9]{3,8}(?:[ -][0-9]{2,8})*)(?![\w]|[.,][0-9])"
)
_WHOLE = re.compile(r"(?<![\w.])\+(?P<all>[0-9]{5,12}(?!000)[0-9]{3})(?![\w]|[.,][0-9])")  # no round amount
_VERSION = re.compile(
    r"\b(?P<v>[vV]\.? ?)?(?P<numbers>[0-9]+(?:\.[0-9]+){2,})\b|\bv(?P<short>[0-9]+(?:\.[0-9]+)?)\b"
)


def addresses(text: str) -> str:
    """ "http://a.com/b" is "a dot com slash b": the scheme is not said."""
    text = _MAIL.sub(lambda found: _spoken(found.group()), text)
    return _URL.sub(lambda found: _address(found.group()), text)


def _address(address: str) -> str:
    end = _TRAILING.search(address)
    tail = end.group() if end else ""
    body = _SCHEME.sub("", address[: len(address) - len(tail)]).rstrip("/")
    return _spoken(body) + tail


def _spoken(address: str) -> str:
    words = []
    for part in _PART.findall(address):
        if part.isdecimal():
            words.append(digits(part) if len(part) <= _LONG_DIGITS else spell(part))
        elif part.lower() in _SPELT:
            words.append(part.upper())
        else:
            words.append(_SIGNS.get(part, part))
    return " ".join(words)


def telephones(text: str) -> str:
    """ "555-123-4567" is read digit by digit, a comma between the groups."""

    def national(found: re.Match[str]) -> str:
        country = found["plus"]
        groups = [found["area"] or found["plain"], found["first"], found["last"]]
        plus = "plus " if country and country.startswith("+") else ""
        head = f"{plus}{spell(re.sub('[^0-9]', '', country))}, " if country else ""
        return head + ", ".join(map(spell, groups))

    def grouped(groups: str) -> str:
        return ", ".join(map(spell, re.split("[ -]", groups)))

    text = _PHONE.sub(national, text)
    text = _AREA.sub(lambda found: f"{spell(found['area'])}, {grouped(found['rest'])}", text)
    text = _ABROAD.sub(lambda found: f"plus {grouped(found['all'])}", text)
    text = _WHOLE.sub(lambda found: f"plus {spell(found['all'])}", text)
    return _LOCAL.sub(lambda found: f"{spell(found['first'])}, {spell(found['last'])}", text)


def versions(text: str) -> str:
    """ "v1.2.3" is "version one point two point three"; addresses of four numbers are read with dots."""

    def spoken(found: re.Match[str]) -> str:
        numbers = (found["numbers"] or found["short"]).split(".")
        if found["numbers"] and not found["v"] and len(numbers) == 4:
            return " dot ".join(map(digits, numbers))
        head = "version " if found["v"] or found["short"] else ""
        return head + " point ".join(map(digits, numbers))

    return _VERSION.sub(spoken, text)
