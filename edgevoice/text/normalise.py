"""Text to words, by language. A language without a module keeps its numbers: espeak-ng reads them itself."""

from __future__ import annotations

import re


def normalise(text: str, language: str) -> str:
    """One sentence with numbers, money, times, dates, units and abbreviations as words. Never raises."""
    if language.replace("_", "-").lower().split("-")[0] == "en":
        from edgevoice.text import english

        return english.normalise(text)
    return re.sub(r"\s+", " ", text).strip()
