"""The vocoder's finish: it goes on with the latents that its fellow students give, not the teacher's alone.

What a run of it starts from is copied into its folder, so that training the others on changes nothing here.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from compress.distil import checkpoint, trained, weights
from compress.distil.chain import make_chain
from compress.distil.config import (
    AdversaryTable,
    DistilConfig,
    FinishStage,
    VocoderStage,
    recipe_key,
    training_key,
)
from compress.distil.tasks import make_task, vocoder_task
from compress.distil.tasks.base import Batch, blank
from compress.labels.store import Labels
from compress.staged import StagedVoice
from edgevoice.errors import EdgevoiceError

STREAM = 2


class FinishTask:
    """Wraps the vocoder's own task, of which it replaces the latents in a share of the segments."""

    hears = True

    def __init__(
        self, config: DistilConfig, labels: Labels, folder: Path, voice: StagedVoice | None = None
    ) -> None:
        """``folder`` holds the copies that `gather` made."""
        finish, vocoder = _tables(config)
        self.stage, self.labels, self.mix = replace(vocoder, schedule=finish.schedule), labels, finish.mix
        self.adversary = _fitting(finish.adversary, finish.schedule.frames * labels.info.hop)
        self.table = {"vocoder": asdict(self.stage), "finish": asdict(finish)}
        self._vocoder = vocoder_task(config, self.stage, labels, voice)
        self.basis = getattr(self._vocoder, "basis", None)
        self._vocoder.item = self._item  # type: ignore[method-assign]
        files = {stage: folder / f"{stage}{weights.SUFFIX}" for stage in fellows_of(labels)}
        students = {
            stage: weights.read(path, stage).student for stage, path in files.items() if path.exists()
        }
        if not set(students) - {"encoder"}:
            raise EdgevoiceError(
                f"{folder} holds no fellow students for the vocoder's finish: train them first"
            )
        self._fellows = make_chain(students, labels)
        self.recipe = training_key(config, "vocoder")
        digests = {stage: _digest(path) for stage, path in files.items() if path.exists()}
        parts = [self.recipe, recipe_key(self.stage), recipe_key(finish), digests]
        self.key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    def student(self) -> nn.Module:
        return self._vocoder.student()

    def blank(self) -> nn.Module:
        return blank(self._vocoder)

    def batch(self, step: int, rank: int = 0, ranks: int = 1) -> Batch:
        return self._vocoder.batch(step, rank, ranks)

    def loss(self, student: nn.Module, batch: Batch, step: int) -> Any:
        return self._vocoder.loss(student, batch, step)

    def sounds(self, student: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        return self._vocoder.sounds(student, batch)

    def distance(self, ours: Tensor, theirs: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        return self._vocoder.distance(ours, theirs, step)

    def _item(self, place: tuple[int, int], utterance: int, start: int, stop: int) -> dict[str, NDArray[Any]]:
        row = self._vocoder.drive(utterance, start, stop)
        rng = np.random.default_rng((self.stage.schedule.seed, *place, STREAM))
        if rng.random() < self.mix:
            made = self._fellows.latents(utterance, start, stop)
            # F0 and voicing: the sound to learn has the teacher's phase
            kept = 2 if self.stage.harmonics else 0
            row["latents"] = np.concatenate([made[: len(made) - kept], row["latents"][len(made) - kept :]])
        return row


def _tables(config: DistilConfig) -> tuple[FinishStage, VocoderStage]:
    if config.finish is None or config.vocoder is None:
        missing = "finish" if config.finish is None else "vocoder"
        raise EdgevoiceError(f"the recipe has no [distil.{missing}] table")
    if not 0 < config.finish.mix <= 1:
        raise EdgevoiceError(f"distil.finish.mix must be above 0 and at most 1, not {config.finish.mix:g}")
    return config.finish, config.vocoder


def _fitting(table: AdversaryTable | None, samples: int) -> AdversaryTable | None:
    """The table, unless one of its STFT sizes is too long for a segment of so many samples."""
    if table is not None and max(table.sizes) // 2 >= samples:
        raise EdgevoiceError(
            f"distil.finish.adversary.sizes: {max(table.sizes)} is too long for a segment of {samples} "
            "samples; name a smaller one, or more frames"
        )
    return table


def fellows_of(labels: Labels) -> tuple[str, ...]:
    """The runs whose students come before the vocoder."""
    return ("acoustic", "encoder") if labels.info.noise else ("text",)


def gather(
    config: DistilConfig, labels: Labels, runs: Path, folder: Path, voice: StagedVoice | None = None
) -> None:
    """Copy the students that a finish in ``folder`` starts from out of their ``runs``, once."""
    _tables(config)
    folder.mkdir(parents=True, exist_ok=True)
    for stage in (*fellows_of(labels), "vocoder"):
        path = folder / f"{stage}{weights.SUFFIX}"
        needed = "acoustic" if stage == "text" else stage
        if path.exists() or getattr(config, needed) is None:
            continue
        task = make_task(config, stage, labels, voice)
        weights.save(path, trained.from_run(task, stage, runs / stage), {}, [])


def start(folder: Path) -> checkpoint.Start:
    """The vocoder that a finish in ``folder`` goes on with."""
    return weights.start(folder / f"vocoder{weights.SUFFIX}", "vocoder")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
