"""Text to phonemes to ids: cleaning, sentences, phonemizers, the voice's table."""

from __future__ import annotations

from edgevoice.errors import EdgevoiceError
from edgevoice.text.base import PUNCTUATION, Phonemizer
from edgevoice.text.clean import clean, speakable
from edgevoice.text.normalise import normalise
from edgevoice.text.scripts import foreign_scripts
from edgevoice.text.sentences import sentences
from edgevoice.text.table import TextTable, piper_table

__all__ = [
    "PUNCTUATION",
    "Phonemizer",
    "TextTable",
    "available",
    "clean",
    "foreign_scripts",
    "normalise",
    "phonemizer",
    "piper_table",
    "sentences",
    "speakable",
]

NAMES = ("espeak", "lexicon")


def phonemizer(name: str, language: str) -> Phonemizer:
    """The phonemizer called ``name`` for ``language``.

    Raises EdgevoiceError if there is none of that name, its library is missing, or it lacks the language.
    """
    normalise("", language)  # its tables load now and not in the first sentence
    if name == "espeak":
        from edgevoice.text.espeak import EspeakPhonemizer

        return EspeakPhonemizer(language)
    if name == "lexicon":
        from edgevoice.text.lexicon import LexiconPhonemizer

        return LexiconPhonemizer(language)
    raise EdgevoiceError(f"there is no phonemizer {name!r}: choose one of {', '.join(NAMES)}")


def available() -> list[tuple[str, bool, str]]:
    """Name, whether it works here, and why not (or what it is), for each phonemizer."""
    from edgevoice.text import espeak

    reason = espeak.missing()
    damage = _lexicon_damage()
    return [
        ("espeak", reason is None, reason or "libespeak-ng (GPL-3.0-or-later), every language it knows"),
        ("lexicon", damage is None, damage or "built in, American English"),
    ]


def _lexicon_damage() -> str | None:
    try:
        phonemizer("lexicon", "en-us").phonemize("Zyxo.")
    except EdgevoiceError as error:
        return str(error)
    return None
