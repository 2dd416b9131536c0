"""One task a stage: which labels it reads, its student, and its loss."""

from __future__ import annotations

from compress.distil.config import DistilConfig
from compress.distil.tasks.base import Task
from compress.labels.store import Labels
from edgevoice.errors import EdgevoiceError


def make_task(config: DistilConfig, stage: str, labels: Labels) -> Task:
    """The task that trains ``stage``; a stage without a table in the recipe is an `EdgevoiceError`."""
    from compress.distil.tasks.piper import AcousticTask, EncoderTask
    from compress.distil.tasks.vocoder import VocoderTask

    if stage == "vocoder" and config.vocoder:
        return VocoderTask(config.vocoder, labels)
    if stage == "acoustic" and config.acoustic:
        return AcousticTask(config.acoustic, labels)
    if stage == "encoder" and config.encoder:
        return EncoderTask(config.encoder, labels)
    raise EdgevoiceError(f"the recipe has no [distil.{stage}] table")
