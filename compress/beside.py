"""A bundle beside the voice that it was made of: the same sentences, at that voice's durations and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from calibration.samples import TEACHER, Samples, versions
from compress import judge
from compress.draft import prepare, say, speak
from compress.recipe import load
from compress.staged import StagedVoice
from compress.workspace import Workspace
from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.options import LONGEST_IDS
from edgevoice.runtime.voice import Voice

SEED = 4


def samples(teacher: StagedVoice, made: Bundle, texts: Sequence[str], work: Workspace) -> Samples:
    """How teacher and bundle say ``texts``; where its FP32 files travel, with those too.

    Raises `EdgevoiceError` for another voice than the one that the bundle's manifest names.
    """
    if teacher.sha256 != made.manifest.provenance.teacher:
        raise EdgevoiceError(
            f"{made.path} was not made of {teacher.name}: its manifest names a voice of the SHA-256 "
            f"{made.manifest.provenance.teacher[:16]}, and this one has {teacher.sha256[:16]}"
        )
    voice = Voice.load(made.path, threads=1, verify=False, engine="onnxruntime")
    for text in texts:
        voice.stream(text)  # of which nothing is taken: it refuses a text without a word
    draft = prepare(teacher, load("split"), work)
    for text, ids in zip(texts, draft.ids(texts), strict=True):
        if len(ids) > LONGEST_IDS:
            raise EdgevoiceError(
                f"--text {text[:30]!r}... is more than one sentence's length: give it in parts"
            )
    spoken = speak(draft, texts, SEED)
    sounds = {TEACHER: spoken.sounds}
    for version, stages in versions(made, voice.stages).items():
        timed = replace(stages, encoder=judge.Forced(stages.encoder, spoken.durations))
        sounds[version] = say(draft, texts, SEED, timed)
    return Samples(teacher.sample_rate, spoken.sentences, sounds)
