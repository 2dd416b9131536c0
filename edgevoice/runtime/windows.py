"""What a bundle's stages are given while it says a sentence: what engines are compared and timed on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edgevoice.bundle import Bundle
from edgevoice.manifest import STAGES, StageName
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.voice import Voice
from edgevoice.text.sample import sentence


class _Spy:
    """Remembers one window of each length that the engine was given."""

    def __init__(self, engine: Engine) -> None:
        self.inputs, self.engine = engine.inputs, engine
        self.windows: dict[int, dict[str, Array]] = {}

    def run(self, feeds: Mapping[str, Array]) -> list[npt.NDArray[np.float32]]:
        length = next(iter(feeds.values())).shape[-1]
        self.windows.setdefault(length, {name: np.array(value) for name, value in feeds.items()})
        return self.engine.run(feeds)


Windows = list[Mapping[str, Array]]


def heard(
    made: Bundle, threads: int | None = None
) -> tuple[dict[StageName, Engine], dict[StageName, Windows]]:
    """The stages by ONNX Runtime, and what each was given for a short sentence, the longest window first."""
    voice = Voice.load(made.path, threads, verify=False, engine="onnxruntime")
    spies = {stage: _Spy(getattr(voice.stages, stage)) for stage in STAGES}
    voice.stages = replace(
        voice.stages, encoder=spies["encoder"], acoustic=spies["acoustic"], vocoder=spies["vocoder"]
    )
    for _ in voice.stream(sentence(made.manifest.voice.language)):
        pass
    windows: dict[StageName, Windows] = {
        stage: [feeds for _, feeds in sorted(spies[stage].windows.items(), reverse=True)] for stage in STAGES
    }
    return {stage: spies[stage].engine for stage in STAGES}, windows
