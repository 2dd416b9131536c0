"""One task a stage: which labels it reads, its student, and its loss."""

from __future__ import annotations

from compress.distil.config import DistilConfig
from compress.distil.tasks.base import Task
from compress.labels.store import Labels
from compress.staged import StagedVoice
from edgevoice.errors import EdgevoiceError

STAGES = ("vocoder", "acoustic", "encoder", "text")


def make_task(config: DistilConfig, stage: str, labels: Labels, voice: StagedVoice | None = None) -> Task:
    """The task that trains ``stage``; ``text`` is encoder and acoustic together, for a teacher like Kokoro.

    ``voice``: the labels' teacher, needed where the recipe prunes its own stage (``keep``).
    A stage without a table in the recipe, or one that the labels are not made for, is an `EdgevoiceError`.
    """
    from compress.distil.tasks.kokoro import DrivenVocoderTask, TextTask
    from compress.distil.tasks.piper import AcousticTask, EncoderTask
    from compress.distil.tasks.pruned import PrunedEncoderTask, PrunedVocoderTask
    from compress.distil.tasks.vocoder import VocoderTask

    needed = ("encoder", "acoustic") if stage == "text" else (stage,)
    for table in needed:
        if getattr(config, table, None) is None:
            raise EdgevoiceError(f"the recipe has no [distil.{table}] table")
    sampled = bool(labels.info.noise)
    if sampled == (stage == "text") and stage != "vocoder":
        wanted = "acoustic and encoder one by one" if sampled else "text"
        raise EdgevoiceError(f"labels of {labels.info.teacher} train {wanted}, not {stage}")
    if stage == "text" and config.encoder and config.acoustic:
        _refuse_keep("encoder", config.encoder.keep, labels)
        return TextTask(config.acoustic, config.encoder, labels)
    if stage == "acoustic" and config.acoustic:
        return AcousticTask(config.acoustic, labels)
    if stage == "encoder" and config.encoder:
        if config.encoder.keep:
            return PrunedEncoderTask(config.encoder, labels, voice)
        return EncoderTask(config.encoder, labels)
    assert config.vocoder is not None
    if config.vocoder.keep and not config.vocoder.harmonics:
        return PrunedVocoderTask(config.vocoder, labels, voice)
    if config.vocoder.harmonics:
        _refuse_keep("vocoder", config.vocoder.keep, labels)
        components = config.acoustic.latents if config.acoustic else 0
        return DrivenVocoderTask(config.vocoder, labels, components)
    return VocoderTask(config.vocoder, labels)


def _refuse_keep(stage: str, keep: float, labels: Labels) -> None:
    if keep:
        raise EdgevoiceError(
            f"distil.{stage}.keep: {labels.info.teacher} has no {stage} that can be pruned; leave keep out"
        )
