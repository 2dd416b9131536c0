"""What is spoken: sentences in groups by length, the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgevoice.bench import TEXTS
from edgevoice.errors import EdgevoiceError

Groups = Mapping[str, Sequence[str]]

NAMES = {"short": "short", "middle": "10 words", "long": "long"}
SHORT_WORDS, LONG_WORDS = 5, 16


def groups(file: Path | None) -> Groups:
    """The sentences of ``edgevoice bench``, or those of ``file``, one a line.

    A file's sentences of up to 5 words are short, those of 16 words and more are long, and those of exactly
    10 words stand for the middle; sentences of other lengths are left out, so that a row says what it means.
    """
    if file is None:
        return {NAMES[name]: [text] for name, text in TEXTS.items()}
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise EdgevoiceError(f"cannot read the sentences in {file}: {error}") from None
    found: dict[str, list[str]] = {name: [] for name in NAMES.values()}
    for line in filter(None, lines):
        if group := _group(len(line.split())):
            found[group].append(line)
    kept = {name: texts for name, texts in found.items() if texts}
    if not kept:
        raise EdgevoiceError(f"{file} has no sentence of 1 to 5, of 10, or of 16 and more words, one a line")
    return kept


def _group(words: int) -> str | None:
    if words <= SHORT_WORDS:
        return NAMES["short"]
    if words >= LONG_WORDS:
        return NAMES["long"]
    return NAMES["middle"] if words == 10 else None
