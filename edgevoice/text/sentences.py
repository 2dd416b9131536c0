"""Sentences of a text, one after the other as they are asked for, in memory that does not grow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from edgevoice.errors import EdgevoiceError
from edgevoice.text.abbreviations import BEFORE_NUMBER, NEVER_LAST, ORDINAL_DOT, SOMETIMES_LAST
from edgevoice.text.clean import speakable

_PIECE = 2048  # characters taken in at a time from one long string
_CLOSERS = "\"'”’»›)\\]}」』）"
_END = re.compile(
    rf"(?P<mark>[.!?…؟।]+)[{_CLOSERS}]*(?=\s|$)"
    rf"|(?P<wide>[。！？｡]+)[{_CLOSERS}]*"
    r"|(?P<break>\n\n|\n(?=[-*•–—] |[0-9]+[.)] ))"
)
_SPACES = re.compile(r"[^\S\n]+")
_PARAGRAPH = re.compile(r" ?\n[\n ]*\n ?")
_LINE = re.compile(r" ?\n ?")
_CLAUSE = re.compile(r"[,;:—–،؛、，；：](?=\s|[\u3000-\u9fff])|[、，；：]")
_LAST_WORD = re.compile(r"[^\W_]+(?:[.'’][^\W_]+)*$")
_CAPITALS = re.compile(r"[A-Z]{2,4}\b")
_STARTERS = re.compile(r"(?:The|This|That|It|He|She|They|We|You|I|In|On|But|And|A|An|If|When|There|What)\b")


def sentences(text: str | Iterable[str], language: str, limit: int) -> Iterator[str]:
    """Sentences of ``text`` (a string, or pieces of one), spaces collapsed, none longer than ``limit``.

    A sentence that is longer is cut after a clause, else at a space, else at ``limit`` characters. Pieces
    without a letter or digit are left out. An empty line ends a sentence, a single line break does not.
    """
    if limit < 1:
        raise EdgevoiceError(f"a sentence limit of {limit} characters is not possible: give 1 or more")
    splitter = _Splitter(language, limit)
    for piece in _pieces(text):
        yield from splitter.feed(piece)
    yield from splitter.finish()


def _pieces(text: str | Iterable[str]) -> Iterator[str]:
    for part in (text,) if isinstance(text, str) else text:
        for at in range(0, len(part), _PIECE):
            yield part[at : at + _PIECE]


class _Splitter:
    """Holds the text that is not yet known to end a sentence: at most ``limit`` and one piece."""

    def __init__(self, language: str, limit: int) -> None:
        code = language.replace("_", "-").lower().split("-")[0]
        self._never = NEVER_LAST.get(code, frozenset())
        self._sometimes = SOMETIMES_LAST.get(code, frozenset())
        self._ordinals = code in ORDINAL_DOT
        self._limit = limit
        self._rest = ""

    def feed(self, piece: str) -> Iterator[str]:
        self._rest = _collapse(self._rest + piece.replace("\r\n", "\n").replace("\r", "\n"))
        yield from self._take(last=False)

    def finish(self) -> Iterator[str]:
        yield from self._take(last=True)

    def _take(self, last: bool) -> Iterator[str]:
        at = 0
        text = self._rest
        while at < len(text):
            end = self._cut(text, at, last)
            if end is None:
                break
            sentence = text[at:end].replace("\n", " ").strip()
            at = end
            if speakable(sentence):
                yield sentence
        self._rest = text[at:]

    def _cut(self, text: str, start: int, last: bool) -> int | None:
        """Where the sentence that begins at ``start`` ends, or None if more text is needed to know."""
        while start < len(text) and text[start].isspace():
            start += 1
        for found in _END.finditer(text, start):
            if found.end() > start + self._limit:
                break
            following = text[found.end() :].lstrip() if found.end() + 40 > len(text) else text[found.end() :]
            if not last and len(following) < _LOOK_AHEAD and not found["break"]:
                return None if len(text) - start <= self._limit + _LOOK_AHEAD else self._forced(text, start)
            if self._ends(text[start : found.end()], found, following.lstrip()):
                return found.end()
        if len(text) - start > self._limit:
            return self._forced(text, start)
        return len(text) if last else None

    def _ends(self, sentence: str, found: re.Match[str], following: str) -> bool:
        if not found["mark"] or not following:
            return True
        mark = found["mark"]
        closed = found.end() > found.end("mark")
        lower = following[0].islower()
        if mark != ".":
            return not (lower and (closed or mark[0] in ".…"))
        word = _LAST_WORD.search(sentence[: len(sentence) - (found.end() - found.start())])
        return self._dot_ends(word.group() if word else "", sentence, following)

    def _dot_ends(self, word: str, sentence: str, following: str) -> bool:
        """Whether the dot after ``word`` ends the sentence."""
        lower = following[0].islower()
        plain = word.lower()
        if plain in self._never or (plain in BEFORE_NUMBER and following[0].isdigit()):
            return False
        if plain in self._sometimes:
            return following[0].isupper() and not _CAPITALS.match(following)  # "9 a.m. EST"
        if len(word) == 1 and word.isalpha():
            return word == "I" and not lower
        if re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word):
            return bool(_STARTERS.match(following))
        if word.isdecimal():
            listed = len(sentence) == len(word) + 1
            return not (lower or listed or (self._ordinals and len(word) < 3))
        return not lower or len(word) > 3

    def _forced(self, text: str, start: int) -> int:
        window = text[start : start + self._limit]
        clauses = [found.end() for found in _CLAUSE.finditer(window)]
        if clauses and clauses[-1] >= self._limit // 4:
            return start + clauses[-1]
        space = max(window.rfind(" "), window.rfind("\n"))
        if text[start + self._limit : start + self._limit + 1].isspace():
            space = self._limit
        return start + (space if space > 0 else self._limit)


_LOOK_AHEAD = 12  # characters after a mark that tell whether a sentence begins there


def _collapse(text: str) -> str:
    text = _SPACES.sub(" ", text)
    return _LINE.sub("\n", _PARAGRAPH.sub("\n\n", text)) if "\n" in text else text
