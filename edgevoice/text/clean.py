"""What cannot be said at all: control characters, emoji, SSML tags and broken bytes go, with a note."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

# Elements of SSML 1.1. A tag must be whole, its attributes quoted, so that "a < b and c > d" is no tag.
_ELEMENTS = (
    "speak|lexicon|lookup|metadata|meta|token|phoneme|prosody|emphasis|say-as|voice|break|audio|desc|mark|lang"
    "|sub|p|s|w|[a-z]+:[a-z-]+"
)
_ATTRIBUTE = r"""\s+[\w:.-]+\s*=\s*(?:"[^"<]*"|'[^'<]*')"""
_TAG = re.compile(rf"</?(?:{_ELEMENTS})(?:{_ATTRIBUTE})*\s*/?>|<\?xml(?:{_ATTRIBUTE})*\s*\?>")
# Those that end no word, within one: "un<emphasis>believ</emphasis>able" is one word. Elsewhere each is a
# space, as what stands on its sides need not have been written with one.
_INLINE = rf"</?(?:prosody|emphasis|phoneme|say-as|mark|lang|sub)(?:{_ATTRIBUTE})*\s*/?>"
_WITHIN = re.compile(rf"(?<=[^\W\d_]|['’])(?:{_INLINE})+(?=['’]?[^\W\d_])")
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&apos;": "'", "&amp;": "&"}
# What Python makes of bytes that are no UTF-8: in standard input, and in an argument.
_BROKEN = re.compile("[\ufffd\udc80-\udcff]")
# Invisible characters that carry no word: soft hyphen, zero width, direction marks, byte order mark.
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_CONTROL = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufff9-\uffff\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff]+"
)
_PICTURE = (
    "[\U0001f000-\U0001faff\u2300-\u23ff\u25a0-\u27bf\u2b00-\u2bff\u3030\u303d\u3297\u3299\u20e3"
    "\U000e0000-\U000e007f]"
)
_EMOJI = re.compile(rf"{_PICTURE}(?:[\ufe0e\ufe0f\u200d]|{_PICTURE})*")
_SELECTORS = re.compile("[\ufe00-\ufe0f]")
_NOT_SPOKEN = frozenset("ˈˌːˑ")


def clean(text: str, note: Callable[[str], None] | None = None) -> str:
    """``text`` in NFC without what cannot be said; ``note`` is told once a kind what was skipped."""
    note = note or (lambda _: None)
    text, within = _WITHIN.subn("", text)
    text, tags = _TAG.subn(" ", text)
    if tags or within:
        for name, char in _ENTITIES.items():
            text = text.replace(name, char)
        note("skipped SSML tags, which this version does not follow: the text between them is spoken")
    text, broken = _BROKEN.subn(" ", text)
    if broken:
        note("skipped bytes that are not UTF-8: convert the text, such as with `iconv -f latin1 -t utf-8`")
    text, controls = _CONTROL.subn(" ", _INVISIBLE.sub("", text))
    text, emoji = _EMOJI.subn(" ", text)
    skipped = [_count(controls, "control character"), _count(emoji, "emoji", "emoji")]
    if any(skipped):
        note("skipped " + " and ".join(filter(None, skipped)) + ": they cannot be spoken")
    return unicodedata.normalize("NFC", _SELECTORS.sub("", text))


def _count(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}" if count else ""


def speakable(text: str) -> bool:
    """Whether a text or a phoneme string has anything to say: a letter or a digit, not marks alone."""
    return any(char.isalnum() and char not in _NOT_SPOKEN for char in text)
