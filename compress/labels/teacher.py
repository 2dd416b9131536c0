"""Whether labels are really a teacher's: their key also names the texts, which may be another program's."""

from __future__ import annotations

import numpy as np

from compress.labels.store import Labels
from compress.teachers.base import Teacher
from edgevoice.errors import EdgevoiceError

ALIKE = 0.01
"""Mean difference of 16-bit samples over their mean size: another machine rounds, another teacher differs."""


def require_teacher(labels: Labels, teacher: Teacher) -> None:
    """Refuse labels whose first utterance ``teacher`` says differently."""
    row = labels.read(0, ["phonemes", "audio"])
    said = teacher.speak(row["phonemes"].astype(np.int64), labels.entries[0].seed)["audio"].astype(np.float64)
    labelled = row["audio"].astype(np.float64)
    if said.shape == labelled.shape:
        apart = np.abs(said - labelled).mean() / max(1.0, np.abs(labelled).mean())
        if apart < ALIKE:
            return
    raise EdgevoiceError(
        f"{labels.root} holds labels of another teacher than {teacher.name}: name another folder"
    )
