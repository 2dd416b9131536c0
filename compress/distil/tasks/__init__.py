"""One task a stage: which labels it reads, its student, and its loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from compress.distil.config import DistilConfig, VocoderStage
from compress.distil.tasks.base import Task
from compress.labels.store import Labels
from edgevoice.errors import EdgevoiceError

if TYPE_CHECKING:
    from compress.distil.tasks.vocoder import VocoderTask

STAGES = ("vocoder", "acoustic", "encoder", "text", "finish")


def make_task(config: DistilConfig, stage: str, labels: Labels, *, folder: Path | None = None) -> Task:
    """The task that trains ``stage``; ``text`` is encoder and acoustic together, for a teacher like Kokoro.

    ``finish``, the vocoder with its fellow students, needs the run's ``folder``, where their copies are. A
    stage without a table in the recipe, or one that the labels are not made for, is an `EdgevoiceError`.
    """
    from compress.distil.tasks.kokoro import TextTask
    from compress.distil.tasks.piper import AcousticTask, EncoderTask

    if stage == "finish":
        from compress.distil.tasks.finish import FinishTask

        assert folder is not None
        return FinishTask(config, labels, folder)
    needed = ("encoder", "acoustic") if stage == "text" else (stage,)
    for table in needed:
        if getattr(config, table, None) is None:
            raise EdgevoiceError(f"the recipe has no [distil.{table}] table")
    sampled = bool(labels.info.noise)
    if sampled == (stage == "text") and stage != "vocoder":
        wanted = "acoustic and encoder one by one" if sampled else "text"
        raise EdgevoiceError(f"labels of {labels.info.teacher} train {wanted}, not {stage}")
    if stage == "text" and config.encoder and config.acoustic:
        return TextTask(config.acoustic, config.encoder, labels)
    if stage == "acoustic" and config.acoustic:
        return AcousticTask(config.acoustic, labels)
    if stage == "encoder" and config.encoder:
        return EncoderTask(config.encoder, labels)
    assert config.vocoder is not None
    return vocoder_task(config, labels, config.vocoder)


def vocoder_task(config: DistilConfig, labels: Labels, stage: VocoderStage) -> VocoderTask:
    """The task of a vocoder by latents alone, or by the phase of a sine source too."""
    from compress.distil.tasks.kokoro import DrivenVocoderTask
    from compress.distil.tasks.vocoder import VocoderTask

    if stage.harmonics:
        components = config.acoustic.latents if config.acoustic else 0
        return DrivenVocoderTask(stage, labels, components)
    return VocoderTask(stage, labels)
