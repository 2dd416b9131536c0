"""Checkpoints: everything a run needs to go on exactly, written in one step."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compress.distil.tasks.base import Task, task_key
from compress.labels.store import write_atomically
from edgevoice.errors import EdgevoiceError

NAME = "checkpoint.pt"


@dataclass(frozen=True)
class Identity:
    """What must stay the same for a run to go on.

    ``shards``: how many label shards it sees; ``with_audio``: how many utterances whose audio is there, for a
    stage that learns from audio.
    """

    recipe: str
    labels: str
    shards: int
    with_audio: int | None = None


def identity_of(task: Task) -> Identity:
    labels = task.labels
    heard = labels.with_audio if getattr(task, "hears", False) else None
    return Identity(task_key(task), labels.info.key, labels.shards, heard)


@dataclass(frozen=True)
class Start:
    """Weights that a run begins with, and how long they were trained before; ``digest`` names them."""

    name: str
    digest: str
    weights: dict[str, Tensor]
    steps: int
    seconds: float

    def state(self) -> dict[str, Any]:
        return {"digest": self.digest, "steps": self.steps, "seconds": self.seconds}


def begin(student: nn.Module, start: Start | None) -> dict[str, Any]:
    """Put the start's weights into the student; returns what the run's checkpoints say of them."""
    if start is None:
        return {}
    own = student.state_dict()
    differing = [
        name for name in {**own, **start.weights} if _shape(own, name) != _shape(start.weights, name)
    ]
    if differing:
        raise EdgevoiceError(
            f"{start.name} holds another network than the recipe describes: they differ in {differing[0]}"
        )
    student.load_state_dict(start.weights)
    return {"before": start.state()}


def _shape(state: dict[str, Tensor], name: str) -> tuple[int, ...] | None:
    return tuple(state[name].shape) if name in state else None


def kept(folder: Path, state: dict[str, Any], start: Start | None) -> dict[str, Any]:
    """What a checkpoint says of its start, which must be ``start`` where one is named."""
    before = {"before": state["before"]} if "before" in state else {}
    if start is not None and before.get("before", {}).get("digest") != start.digest:
        raise EdgevoiceError(f"{folder / NAME} did not start from {start.name}; name another run folder")
    return before


def save(folder: Path, identity: Identity, state: dict[str, Any]) -> None:
    buffer = io.BytesIO()
    torch.save({"identity": vars(identity), **state}, buffer)
    write_atomically(folder / NAME, buffer.getvalue())


def load(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of ``folder``, or None where there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        Identity(**state["identity"])
    except Exception as error:  # torch.load raises half a dozen kinds for a damaged file
        raise EdgevoiceError(f"{path} is damaged ({type(error).__name__}); remove it to start anew") from None
    return state


def check(folder: Path, state: dict[str, Any], identity: Identity) -> None:
    """Refuse to go on from a checkpoint of another recipe or of other labels."""
    found = Identity(**state["identity"])
    if found.recipe != identity.recipe:
        raise EdgevoiceError(
            f"{folder / NAME} belongs to another recipe ({found.recipe[:12]}, not {identity.recipe[:12]});"
            " name another run folder, or remove this one to begin anew"
        )
    if found.labels != identity.labels:
        raise EdgevoiceError(
            f"{folder / NAME} was trained on another teacher's labels; name another run folder"
        )
    if found.shards != identity.shards:
        raise EdgevoiceError(
            f"{folder / NAME} was trained on {found.shards} shards and {identity.shards} are asked for; "
            "allow it with --grow"
        )
    if found.with_audio is not None and found.with_audio != identity.with_audio:
        raise EdgevoiceError(
            f"{folder / NAME} was trained on {found.with_audio} utterances with audio, and now "
            f"{identity.with_audio} have it; allow it with --grow"
        )
