"""One task a stage: which labels it reads, its student, and its loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compress.distil.config import DistilConfig, VocoderStage
from compress.distil.tasks.base import Task
from compress.labels.store import Labels
from compress.staged import StagedVoice
from edgevoice.errors import EdgevoiceError

if TYPE_CHECKING:
    from compress.distil.tasks.vocoder import VocoderTask

STAGES = ("vocoder", "acoustic", "encoder", "text", "finish")


def make_task(
    config: DistilConfig,
    stage: str,
    labels: Labels,
    voice: StagedVoice | None = None,
    folder: Path | None = None,
) -> Task:
    """The task that trains ``stage``; ``text`` is encoder and acoustic together, for a teacher like Kokoro.

    ``voice``: the labels' teacher, needed where the recipe prunes its own stage (``keep``). ``folder``: the
    run's, needed for the ``finish``, the vocoder with its fellow students, whose copies are there.
    A stage without a table in the recipe, or one that the labels are not made for, is an `EdgevoiceError`.
    """
    needed = ("encoder", "acoustic") if stage == "text" else (stage,)
    for table in needed:
        if getattr(config, table, None) is None:
            raise EdgevoiceError(f"the recipe has no [distil.{table}] table")
    sampled = bool(labels.info.noise)
    if sampled == (stage == "text") and stage not in ("vocoder", "finish"):
        wanted = "acoustic and encoder one by one" if sampled else "text"
        raise EdgevoiceError(f"labels of {labels.info.teacher} train {wanted}, not {stage}")
    if stage == "finish" and folder:
        from compress.distil.tasks.finish import FinishTask

        return FinishTask(config, labels, folder, voice)
    if stage == "vocoder" and config.vocoder:
        return vocoder_task(config, config.vocoder, labels, voice)
    return _text_task(config, stage, labels, voice)


def _text_task(config: DistilConfig, stage: str, labels: Labels, voice: StagedVoice | None) -> Task:
    """What comes before the vocoder."""
    from compress.distil.tasks.kokoro import TextTask
    from compress.distil.tasks.piper import AcousticTask, EncoderTask
    from compress.distil.tasks.pruned import PrunedEncoderTask

    if stage == "text" and config.encoder and config.acoustic:
        _refuse_keep("encoder", config.encoder.keep, labels)
        return TextTask(config, config.acoustic, config.encoder, labels)
    if stage == "acoustic" and config.acoustic:
        return AcousticTask(config.acoustic, labels)
    assert config.encoder is not None
    if config.encoder.keep:
        return PrunedEncoderTask(config.encoder, labels, voice)
    return EncoderTask(config.encoder, labels)


def vocoder_task(
    config: DistilConfig, stage: VocoderStage, labels: Labels, voice: StagedVoice | None
) -> VocoderTask:
    """The task of a new vocoder, by latents alone or with a sine source's phase, or of a pruned one."""
    from compress.distil.tasks.kokoro import DrivenVocoderTask
    from compress.distil.tasks.pruned import PrunedVocoderTask
    from compress.distil.tasks.vocoder import VocoderTask

    if stage.harmonics:
        _refuse_keep("vocoder", stage.keep, labels)
        return DrivenVocoderTask(config, stage, labels)
    return PrunedVocoderTask(stage, labels, voice) if stage.keep else VocoderTask(stage, labels)


def _refuse_keep(stage: str, keep: float, labels: Labels) -> None:
    if keep:
        raise EdgevoiceError(
            f"distil.{stage}.keep: {labels.info.teacher} has no {stage} that can be pruned; leave keep out"
        )
