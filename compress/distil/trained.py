"""Students that were trained: their averaged weights, and how far they got."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from compress.distil import checkpoint
from compress.distil.pace import keep_pace
from compress.distil.tasks.base import Task, blank
from compress.labels.store import Labels
from compress.students.export import load_average
from edgevoice.errors import EdgevoiceError


@dataclass(frozen=True)
class Card:
    """How a student came to be.

    ``recipe``, ``labels``: keys of what it was last trained by and on; ``hours``: speech in those labels, for
    a vocoder that whose audio is there.
    ``steps``, ``seconds``: of training, with the runs before whose weights it went on from. ``teacher``: the
    voice's name. ``finish``: those of the steps that were the vocoder's finish with its fellows. ``pace``:
    what its durations were multiplied by after training, see `compress.distil.pace`.
    """

    recipe: str
    labels: str
    steps: int
    seconds: float
    hours: float
    teacher: str
    sample_rate: int
    hop: int
    finish: int = 0
    pace: float = 1.0


@dataclass(frozen=True)
class Trained:
    """``stage``: what the student stands in for; a finished vocoder is a ``vocoder``."""

    stage: str
    student: nn.Module
    card: Card


def from_run(task: Task, stage: str, folder: Path) -> Trained:
    """The student that ``folder`` holds, wherever its training stands.

    No checkpoint there, or one of another recipe or of other labels, is an `EdgevoiceError`.
    """
    state = checkpoint.load(folder)
    if state is None:
        raise EdgevoiceError(f"{folder} holds no checkpoint; train the {stage} first")
    found = checkpoint.Identity(**state["identity"])
    now = checkpoint.identity_of(task)
    checkpoint.check(folder, state, replace(now, shards=found.shards, with_audio=found.with_audio))
    heard = now.with_audio if found.with_audio is None else found.with_audio
    student, card = load_average(blank(task), state), _card(state, task.labels, heard)
    if stage == "finish":
        recipe: str = getattr(task, "recipe", card.recipe)
        return Trained("vocoder", student, replace(card, recipe=recipe, finish=int(state["step"])))
    return Trained(stage, student, replace(card, pace=keep_pace(stage, student, task.labels)))


def _card(state: dict[str, Any], labels: Labels, with_audio: int | None) -> Card:
    identity = checkpoint.Identity(**state["identity"])
    before = state.get("before", {"steps": 0, "seconds": 0.0})
    seen = labels if labels.shards == identity.shards else Labels(labels.root, identity.shards)
    return Card(
        identity.recipe,
        identity.labels,
        int(state["step"]) + int(before["steps"]),
        float(state["seconds"]) + float(before["seconds"]),
        seen.seconds(with_audio) / 3600,
        labels.info.teacher,
        labels.info.sample_rate,
        labels.info.hop,
    )
