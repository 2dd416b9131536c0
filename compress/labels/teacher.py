"""Whether labels are really a teacher's: their key also names the texts, which may be another program's."""

from __future__ import annotations

import numpy as np

from compress.labels.store import Labels
from compress.teachers.base import Teacher
from edgevoice.errors import EdgevoiceError

ALIKE = 0.01
"""Mean difference over mean size: another machine rounds, another teacher differs."""

SMALL = {"audio": 1.0, "latents": 1e-3}
"""Below it silence would be divided by: one step of 16-bit samples, or next to nothing."""


def require_teacher(labels: Labels, teacher: Teacher) -> None:
    """Refuse labels whose first utterance ``teacher`` says differently."""
    first = labels.entries[0]
    field = "audio" if first.with_audio else "latents"
    row = labels.read(0, ["phonemes", field])
    spoken = teacher.speak(row["phonemes"].astype(np.int64), first.seed, first.with_audio)
    said, labelled = spoken[field].astype(np.float64), row[field].astype(np.float64)
    if said.shape == labelled.shape:
        apart = np.abs(said - labelled).mean() / max(SMALL[field], np.abs(labelled).mean())
        if apart < ALIKE:
            return
    raise EdgevoiceError(
        f"{labels.root} holds labels of another teacher than {teacher.name}: name another folder"
    )
