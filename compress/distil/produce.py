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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import cast

import onnx
from torch import nn

from compress.distil import checkpoint, trained, weights
from compress.distil.config import DistilConfig, training_key
from compress.distil.tasks import finish, make_task
from compress.distil.tasks.base import Task
from compress.distil.tasks.kokoro import TextSide
from compress.distil.train import train
from compress.distil.trained import Trained
from compress.labels.make import label
from compress.labels.store import Labels
from compress.labels.teacher import require_teacher
from compress.receptive import context
from compress.recipe import Labelling
from compress.staged import StagedStage, StagedVoice
from compress.students.export import export
from compress.teachers import maker_of
from compress.texts import source
from compress.workspace import lock
from edgevoice import manifest
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName

Say = Callable[[str], None]

TRAINED_FIRST = ("vocoder", "acoustic", "encoder")
STREAMS: dict[StageName, str] = {"acoustic": "frames", "vocoder": "latents"}


def from_training(
    voice: StagedVoice,
    config: DistilConfig,
    folder: Path,
    texts: tuple[str, ...] | None,
    asked: Labelling,
    as_trained: bool,
    say: Say,
) -> dict[StageName, StagedStage]:
    """Students from ``folder``; unless ``as_trained``, what is missing is labelled and trained first.

    ``texts``: what to label, or None for edgevoice's own sentences; at most as many as are ``asked`` for.
    """
    if as_trained:
        labels = Labels(folder / "labels")
        require_teacher(labels, maker_of(voice)())
        return _exported(voice, _read(voice, config, labels, folder))
    folder.mkdir(parents=True, exist_ok=True)
    with lock(folder, "training is at work in", "--training"):
        say(f"labelling {asked.sentences} sentences into {folder / 'labels'}")
        labels = _labels(voice, folder / "labels", texts, asked)
        for stage in _trainings(config):
            _train(make_task(config, stage, labels, voice), stage, folder / stage, say)
        if config.finish is not None:
            finish.gather(config, labels, folder, folder / "finish", voice)
            task = make_task(config, "finish", labels, voice, folder / "finish")
            _train(task, "finish", folder / "finish", say, finish.start(folder / "finish"))
        return _exported(voice, _read(voice, config, labels, folder))


def from_weights(voice: StagedVoice, config: DistilConfig, folder: Path) -> dict[StageName, StagedStage]:
    """Students from the files that `compress.distil.weights` keeps, ``folder/STAGE.safetensors``."""
    found = {}
    for stage in _trainings(config):
        path = folder / f"{stage}{weights.SUFFIX}"
        if not path.is_file():
            raise EdgevoiceError(f"{path} does not exist: the recipe makes a student of the {stage}")
        found[stage] = weights.read(path, stage)
        wanted, kept = training_key(config, stage), found[stage].card
        if kept.recipe != wanted:
            raise EdgevoiceError(
                f"{path} was trained by another recipe ({kept.recipe[:12]}, not {wanted[:12]}): name that one"
            )
        if (kept.sample_rate, kept.hop) != (voice.sample_rate, voice.hop):
            raise EdgevoiceError(f"{path} is a student of {kept.teacher}, not of {voice.name}")
    return _exported(voice, found)


def _trainings(config: DistilConfig) -> list[str]:
    """The runs that make the recipe's students: where a sine source drives them, the text side is one."""
    stages = [stage for stage in TRAINED_FIRST if getattr(config, stage) is not None]
    driven = config.vocoder is not None and config.vocoder.harmonics
    return ["vocoder", "text"] if driven else stages


def _labels(voice: StagedVoice, folder: Path, texts: tuple[str, ...] | None, asked: Labelling) -> Labels:
    chosen: Sequence[str]
    if texts is None:
        chosen, name = list(islice(source.training(), asked.sentences)), f"training-1-{source.revision()}"
    else:
        chosen = texts[: asked.sentences]
        name = hashlib.sha256("\n".join(chosen).encode()).hexdigest()
    label(maker_of(voice), chosen, name, folder, len(os.sched_getaffinity(0)), asked.with_audio)
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


def _read(voice: StagedVoice, config: DistilConfig, labels: Labels, folder: Path) -> dict[str, Trained]:
    """The stages' students; the vocoder's is the finished one, once its finish has begun."""
    found = {
        stage: trained.from_run(make_task(config, stage, labels, voice), stage, folder / stage)
        for stage in _trainings(config)
    }
    ended = folder / "finish"
    if config.finish is not None and (ended / checkpoint.NAME).exists():
        found["vocoder"] = trained.from_run(
            make_task(config, "finish", labels, voice, ended), "finish", ended
        )
    return found


def _exported(voice: StagedVoice, students: dict[str, Trained]) -> dict[StageName, StagedStage]:
    """A text side is an encoder and an acoustic model."""
    parts: dict[StageName, tuple[nn.Module, trained.Card]] = {}
    for stage, kept in students.items():
        if isinstance(kept.student, TextSide):
            parts["encoder"] = kept.student.encoder, kept.card
            parts["acoustic"] = kept.student.acoustic, kept.card
        else:
            parts[cast(StageName, stage)] = kept.student, kept.card
    models = {stage: export(student) for stage, (student, _) in parts.items()}
    _refuse_other(voice, models)
    return {stage: _staged(voice, stage, models[stage], card) for stage, (_, card) in parts.items()}


def _refuse_other(voice: StagedVoice, models: Mapping[StageName, onnx.ModelProto]) -> None:
    """What goes into a student must be as wide as what goes into the teacher's stage.

    But for the tensors between the students of a voice with a sine source, which are their own.
    """
    own = (*STREAMS.values(), "phase", "speaker") if voice.phase is not None else ()
    for stage, model in models.items():
        theirs = {tensor.name: tensor for tensor in voice.stages[stage].model.graph.input}
        for ours in model.graph.input:
            other = theirs.get(ours.name)
            if ours.name in own:
                continue
            if other is None or _channels(ours) != _channels(other):
                raise EdgevoiceError(
                    f"the {stage} student is of another voice than {voice.name}: their {ours.name} differ"
                )


def _staged(voice: StagedVoice, stage: StageName, model: onnx.ModelProto, card: trained.Card) -> StagedStage:
    theirs = voice.stages[stage]
    names = [tensor.name for tensor in model.graph.input]
    return StagedStage(
        model,
        context(model, STREAMS[stage]) if stage in STREAMS else 0,
        theirs.noise if "noise" in names else None,
        tuple(name for name in ("speaker", "emotion") if name in names),
        manifest.Trained(
            card.recipe,
            card.labels,
            card.steps,
            round(card.seconds, 3),
            round(card.hours, 3),
            card.finish,
            round(card.pace, 4) if stage == "encoder" else 1.0,
        ),
    )


def _channels(tensor: object) -> list[int]:
    """The sizes of a graph's input that do not depend on the text."""
    return [d.dim_value for d in tensor.type.tensor_type.shape.dim if d.dim_value]  # type: ignore[attr-defined]
