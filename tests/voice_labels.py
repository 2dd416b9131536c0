"""Labels of a real voice file, a few random utterances, made without a phonemizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from compress.labels.make import label_key
from compress.labels.store import LabelInfo, Labels, open_folder, shard_path, write_shard
from compress.staged import StagedVoice
from compress.teachers.staged import StagedTeacher


def voice_labels(voice: StagedVoice, root: Path, count: int = 12) -> Labels:
    """``count`` utterances of 12 to 30 phonemes."""
    teacher = StagedTeacher(voice)
    info = LabelInfo(
        teacher.name,
        label_key(teacher, "random"),
        teacher.sample_rate,
        teacher.hop,
        noise={stage: [float(n) for n in pair] for stage, pair in teacher.noise.items()},
    )
    rng = np.random.default_rng(0)
    open_folder(root, info)
    texts = [rng.integers(1, 100, rng.integers(12, 30)) for _ in range(count)]
    rows = [(f"utterance {seed}", seed, teacher.speak(ids, seed)) for seed, ids in enumerate(texts)]
    write_shard(shard_path(root, 0), info.key, rows)
    return Labels(root)
