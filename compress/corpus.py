"""The sentences of one run: to calibrate on, to search layers by, and others, never seen, to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from calibration.data import CalibrationRecord, require_fit, select
from compress.draft import Draft
from compress.recipe import Recipe
from compress.texts import source
from edgevoice import text
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Text

POOL = 400
"""Sentences that the calibration set is chosen from, and that its coverage is a share of."""

REFERENCE = 160
"""Of edgevoice's own sentences, what a user's English text is held against."""

SHORTEST, LONGEST = 30, 160
"""Characters of a sentence that is calibrated or judged on."""

SEARCHING = 4
"""Sentences, the shortest, that the search for the layers that INT8 may touch listens to."""


JUDGED = 4
"""Every fourth of the user's sentences is for judging."""


@dataclass(frozen=True)
class Corpus:
    """``against``: what a student is held against its teacher on. ``labelling``: the user's own sentences
    that students may learn from, or None where edgevoice's own are for that.
    """

    calibration: tuple[str, ...]
    record: CalibrationRecord | None
    searching: tuple[str, ...]
    judging: tuple[str, ...]
    against: tuple[str, ...] = ()
    labelling: tuple[str, ...] | None = None


def choose(draft: Draft, recipe: Recipe, texts: Path | None) -> Corpus:
    """Sentences for ``draft``'s language: edgevoice's own for English, the user's file for any.

    Raises `EdgevoiceError` where there are none for the language, or too few or unfit ones.
    """
    pool, unseen = _pools(draft.staged.language, texts)
    most = recipe.judge.teacher_sentences if recipe.distil is not None else 0
    _require_enough(unseen, max(recipe.judge.sentences, most), recipe.name, texts)
    judging = tuple(unseen[: recipe.judge.sentences])
    against = tuple(unseen[:most])
    labelling = None if texts is None else tuple(pool)
    if recipe.quantize is None:
        return Corpus((), None, (), judging, against, labelling)
    spoken = draft.staged.text
    phonemes = _phonemes(pool, spoken)
    chosen = select(phonemes, recipe.quantize.sentences)
    skipped = sum(len(draft.staged.table.encode(phonemes[row])[1]) for row in chosen)
    sentences = [pool[row] for row in chosen]
    said = [phonemes[row] for row in chosen]
    if texts is not None and _is_english(draft.staged.language):
        # Against itself alone a German text is as good as any: English rules read it, with English sounds.
        require_fit(sentences, said, _phonemes(_own(REFERENCE), spoken), skipped)
    record = require_fit(sentences, said, phonemes, skipped)
    others = [line for row, line in enumerate(pool) if row not in set(chosen)]
    searching = tuple(sorted(others or sentences, key=len)[:SEARCHING])  # a short file is all calibrated on
    return Corpus(tuple(sentences), record, searching, judging, against, labelling)


def _pools(language: str, texts: Path | None) -> tuple[list[str], list[str]]:
    if texts is not None:
        return _shares(source.from_file(texts), texts)
    if not _is_english(language):
        raise EdgevoiceError(
            f"there are no sentences for the language {language!r}: give some with --texts FILE"
        )
    return _own(POOL), held_out()


def held_out() -> list[str]:
    """Edgevoice's English sentences that no student learns from and nothing is calibrated on."""
    return [line for line in source.held_out() if _fits(line)]


def _own(count: int) -> list[str]:
    """Edgevoice's English sentences."""
    return list(islice((line for line in source.training() if _fits(line)), count))


def _is_english(language: str) -> bool:
    return language.startswith("en")


def _phonemes(sentences: Sequence[str], spoken: Text) -> list[str]:
    """By the front end that the device runs."""
    phonemizer = text.phonemizer(spoken.phonemizers[0], spoken.language)
    return [phonemizer.phonemize(text.normalise(sentence, spoken.language)) for sentence in sentences]


def _shares(lines: Sequence[str], texts: Path) -> tuple[list[str], list[str]]:
    """What is calibrated or learnt on, and what is judged on."""
    usable = list(dict.fromkeys(lines))
    pool = [line for row, line in enumerate(usable) if row % JUDGED]
    unseen = [line for row, line in enumerate(usable) if not row % JUDGED]
    return pool, unseen


def _require_enough(unseen: Sequence[str], asked: int, recipe: str, texts: Path | None) -> None:
    """Judged on fewer, a verdict would say less than the recipe promises."""
    if len(unseen) >= asked:
        return
    if texts is None:
        raise EdgevoiceError(
            f"recipe {recipe} judges on {asked} sentences, and edgevoice has {len(unseen)} of its own: "
            "ask for fewer in [judge], or give more with --texts FILE"
        )
    raise EdgevoiceError(
        f"{texts} holds too few sentences: recipe {recipe} judges on {asked}, every {JUDGED}th of them; "
        f"give at least {JUDGED * asked} different ones, one a line"
    )


def _fits(line: str) -> bool:
    return SHORTEST <= len(line) <= LONGEST
