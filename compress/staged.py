"""A voice cut into the stages of the contract, before any of it is made smaller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from edgevoice import manifest
from edgevoice.text import TextTable


@dataclass(frozen=True)
class StagedStage:
    """One stage's graph, with the inputs and outputs that the stage contract names.

    ``context``: frames of input around each end of a chunk, from the graph's own receptive field.
    ``trained``: how the stage came to be, where it is a student.
    """

    model: onnx.ModelProto
    context: int = 0
    noise: manifest.Noise | None = None
    takes: tuple[str, ...] = ()
    trained: manifest.Trained | None = None


@dataclass(frozen=True)
class StagedVoice:
    """What a teacher is made of. ``speakers``: f32 [number, width], rows for the `speaker` input, or None;
    with ``speaker_counts`` f32 [number, counts, width], as `edgevoice.manifest.Table` has them.

    ``pace``: what the encoder's durations were multiplied by, as the voice's own settings ask. ``chunked``:
    whether chunks of it equal the whole; a voice that does not speaks through students only.
    """

    name: str
    language: str
    sample_rate: int
    hop: int
    licence: manifest.Licence
    sha256: str
    text: manifest.Text
    table: TextTable
    durations: manifest.Durations
    stages: Mapping[manifest.StageName, StagedStage]
    speakers: np.ndarray | None = None
    speaker_names: tuple[str, ...] = field(default=())
    speaker_counts: tuple[int, ...] = ()
    spectrum: manifest.Spectrum | None = None
    phase: manifest.Phase | None = None
    source: Path | None = None
    pace: float = 1.0
    chunked: bool = True
