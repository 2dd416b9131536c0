"""What every phonemizer answers with, whatever library is behind it."""

from __future__ import annotations

from typing import Protocol

PUNCTUATION = ",.!?;:—…"
"""Punctuation that phonemizers keep; all other punctuation is dropped."""


class Phonemizer(Protocol):
    """Text to phonemes in espeak-ng's IPA notation for one language."""

    name: str
    language: str

    def phonemize(self, text: str) -> str:
        """One normalised sentence to a string of NFD code points.

        Words are parted by spaces, stress marks (``ˈ`` ``ˌ``) and the signs of ``PUNCTUATION`` are kept.
        A text with nothing to say gives an empty string.
        """
        ...
