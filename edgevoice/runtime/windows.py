"""What a bundle's stages are given while it says a sentence: what engines are compared and timed on."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from edgevoice.bundle import Bundle
from edgevoice.deploy.selftest import sentence
from edgevoice.manifest import STAGES, StageName
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.voice import Voice


class _Spy:
    """Remembers the longest window that the engine was given."""

    def __init__(self, engine: Engine) -> None:
        self.inputs, self.engine = engine.inputs, engine
        self.feeds: dict[str, Array] = {}

    def run(self, feeds: Mapping[str, Array]) -> list[npt.NDArray[np.float32]]:
        if not self.feeds or _length(feeds) > _length(self.feeds):
            self.feeds = {name: np.array(value) for name, value in feeds.items()}
        return self.engine.run(feeds)


def heard(made: Bundle) -> tuple[dict[StageName, Engine], dict[StageName, Mapping[str, Array]]]:
    """The stages by ONNX Runtime, and each one's longest window of a short sentence."""
    from dataclasses import replace

    voice = Voice.load(made.path, verify=False, engine="onnxruntime")
    spies = {stage: _Spy(getattr(voice.stages, stage)) for stage in STAGES}
    voice.stages = replace(
        voice.stages, encoder=spies["encoder"], acoustic=spies["acoustic"], vocoder=spies["vocoder"]
    )
    for _ in voice.stream(sentence(made.manifest.voice.language)):
        pass
    return {s: spies[s].engine for s in STAGES}, {s: spies[s].feeds for s in STAGES}


def _length(feeds: Mapping[str, Array]) -> int:
    return int(next(iter(feeds.values())).shape[-1])
