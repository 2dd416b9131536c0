"""The stages chained, against the voice's own file with the same noise."""

from __future__ import annotations

import numpy as np

from compress.draft import Draft, Spoken, speak
from compress.teachers.whole import whole
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.synthesis import expand

LARGEST = 1e-4


def within(difference: float) -> str:
    """How equal two waveforms are, in words that follow "equal"."""
    return f"within {difference:.1e}" if difference else "exactly"


def against_file(draft: Draft, sentences: list[str], seed: int = 0) -> float:
    """Largest difference between the chain's waveform and the file's; raises where it is above 1e-4."""
    staged = draft.staged
    spoken = speak(draft, sentences, seed)
    say = whole(staged)
    apart = 0.0
    for number, sound in enumerate(spoken.sounds):
        wave = say({stage: rows[number] for stage, rows in spoken.feeds.items()}, number)
        frames = expand(spoken.durations[number][0], 1.0, staged.durations).sum()
        if wave.size != sound.size or frames * staged.hop != sound.size:
            raise EdgevoiceError(f"{staged.name}: the stages give {sound.size} samples, the file {wave.size}")
        apart = max(apart, float(np.abs(wave - sound).max()))
    if not apart < LARGEST:
        raise EdgevoiceError(
            f"{staged.name} cut into stages differs from its file by {apart:.1e}, above {LARGEST:.0e}"
        )
    return apart


def in_chunks(draft: Draft, spoken: Spoken) -> float:
    """Largest difference of the longest sentence in chunks from the same in one run; raises above 1e-4."""
    number = max(range(len(spoken.sounds)), key=lambda place: len(spoken.sounds[place]))
    (ids,) = draft.ids(spoken.sentences[number : number + 1])
    rng = np.random.default_rng([spoken.seed, number])
    pieces = draft.stages().speak(ids, rng, draft.conditions(number, len(ids)))
    apart = float(np.abs(np.concatenate(list(pieces)) - spoken.sounds[number]).max())
    if not apart < LARGEST:
        raise EdgevoiceError(
            f"{draft.staged.name} in chunks differs from a whole run by {apart:.1e}, above {LARGEST:.0e}"
        )
    return apart
