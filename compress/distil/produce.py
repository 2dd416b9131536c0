"""Students for `edgevoice compress`: labelled and trained as far as they are not yet, then exported.

A training folder holds ``labels/`` and a run for each stage, named after it. Every part goes on where it
stands.
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

from compress.distil import checkpoint, trained, weights
from compress.distil.config import DistilConfig, recipe_key
from compress.distil.tasks import finish, make_task
from compress.distil.tasks.base import Task
from compress.distil.train import train
from compress.distil.trained import Trained
from compress.labels.make import label
from compress.labels.store import Labels
from compress.labels.teacher import require_teacher
from compress.receptive import context
from compress.staged import StagedStage, StagedVoice
from compress.students.export import export
from compress.teachers.staged import StagedTeacher, piper_teacher
from compress.texts import source
from compress.workspace import lock
from edgevoice import manifest
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName

Say = Callable[[str], None]

TRAINED_FIRST: tuple[StageName, ...] = ("vocoder", "acoustic", "encoder")
STREAMS: dict[StageName, str] = {"acoustic": "frames", "vocoder": "latents"}


def from_training(
    voice: StagedVoice,
    config: DistilConfig,
    folder: Path,
    texts: tuple[str, ...] | None,
    sentences: int,
    as_trained: bool,
    say: Say,
) -> dict[StageName, StagedStage]:
    """Students from ``folder``; unless ``as_trained``, what is missing is labelled and trained first.

    ``texts``: what to label, or None for edgevoice's own sentences; at most ``sentences`` of them.
    """
    if as_trained:
        labels = Labels(folder / "labels")
        require_teacher(labels, StagedTeacher(voice))
        return _exported(voice, _read(voice, config, labels, folder))
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder, "training is at work in", "--training"):
        say(f"labelling {sentences} sentences into {folder / 'labels'}")
        labels = _labels(voice, folder / "labels", texts, sentences)
        for stage in _stages(config):
            _train(make_task(config, stage, labels, voice), stage, folder / stage, say)
        if config.finish is not None:
            finish.gather(config, labels, folder, folder / "finish", voice)
            task = make_task(config, "finish", labels, voice, folder / "finish")
            _train(task, "finish", folder / "finish", say, finish.start(folder / "finish"))
        return _exported(voice, _read(voice, config, labels, folder))


def from_weights(voice: StagedVoice, config: DistilConfig, folder: Path) -> dict[StageName, StagedStage]:
    """Students from the files that `compress.distil.weights` keeps, ``folder/STAGE.safetensors``."""
    found = {}
    for stage in _stages(config):
        path = folder / f"{stage}{weights.SUFFIX}"
        if not path.is_file():
            raise EdgevoiceError(f"{path} does not exist: the recipe makes a student of the {stage}")
        found[stage] = weights.read(path, stage)
        wanted, kept = recipe_key(getattr(config, stage)), found[stage].card
        if kept.recipe != wanted:
            raise EdgevoiceError(
                f"{path} was trained by another recipe ({kept.recipe[:12]}, not {wanted[:12]}): name that one"
            )
        if (kept.sample_rate, kept.hop) != (voice.sample_rate, voice.hop):
            raise EdgevoiceError(f"{path} is a student of {kept.teacher}, not of {voice.name}")
    return _exported(voice, found)


def _stages(config: DistilConfig) -> list[StageName]:
    return [stage for stage in TRAINED_FIRST if getattr(config, stage) is not None]


def _labels(voice: StagedVoice, folder: Path, texts: tuple[str, ...] | None, sentences: int) -> Labels:
    chosen: Sequence[str]
    if texts is None:
        chosen, name = list(islice(source.training(), sentences)), f"training-1-{source.revision()}"
    else:
        chosen = texts[:sentences]
        name = hashlib.sha256("\n".join(chosen).encode()).hexdigest()
    assert voice.source is not None
    label(partial(piper_teacher, voice.source), chosen, name, folder, len(os.sched_getaffinity(0)))
    return Labels(folder)


def _train(task: Task, stage: str, folder: Path, say: Say, start: checkpoint.Start | None = None) -> None:
    end = task.stage.schedule.steps
    say(f"training the {stage} to step {end} in {folder}")
    with _asked_to_stop() as asked:
        reached = train(task, folder, grow=True, stopped=lambda: bool(asked), start=start)
    if asked and reached < end:
        print(
            f"stopped at step {reached} of the {stage}; the same command goes on from there", file=sys.stderr
        )
        raise SystemExit(128 + asked[0])


@contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Signals that ask to end, gathered: the step at hand is finished and saved first."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only that one may set handlers
        yield asked
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda got, _: asked.append(got)) for number in numbers]
    try:
        yield asked
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _read(voice: StagedVoice, config: DistilConfig, labels: Labels, folder: Path) -> dict[StageName, Trained]:
    """The stages' students; the vocoder's is the finished one, once its finish has begun."""
    found = {
        stage: trained.from_run(make_task(config, stage, labels, voice), stage, folder / stage)
        for stage in _stages(config)
    }
    ended = folder / "finish"
    if config.finish is not None and (ended / checkpoint.NAME).exists():
        found["vocoder"] = trained.from_run(
            make_task(config, "finish", labels, voice, ended), "finish", ended
        )
    return found


def _exported(voice: StagedVoice, students: dict[StageName, Trained]) -> dict[StageName, StagedStage]:
    return {stage: _staged(voice, stage, student) for stage, student in students.items()}


def _staged(voice: StagedVoice, stage: StageName, kept: Trained) -> StagedStage:
    model, theirs = export(kept.student), voice.stages[stage]
    for ours in model.graph.input:
        other = next((tensor for tensor in theirs.model.graph.input if tensor.name == ours.name), None)
        if other is None or _channels(ours) != _channels(other):
            raise EdgevoiceError(
                f"the {stage} student is of another voice than {voice.name}: their {ours.name} differ"
            )
    names = [tensor.name for tensor in model.graph.input]
    card = kept.card
    return StagedStage(
        model,
        context(model, STREAMS[stage]) if stage in STREAMS else 0,
        theirs.noise if "noise" in names else None,
        tuple(name for name in theirs.takes if name in names),
        manifest.Trained(
            card.recipe,
            card.labels,
            card.steps,
            round(card.seconds, 3),
            round(card.hours, 3),
            card.finish,
        ),
    )


def _channels(tensor: object) -> list[int]:
    """The sizes of a graph's input that do not depend on the text."""
    return [d.dim_value for d in tensor.type.tensor_type.shape.dim if d.dim_value]  # type: ignore[attr-defined]
