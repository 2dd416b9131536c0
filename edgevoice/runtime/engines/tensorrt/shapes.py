"""Which lengths an engine is built for: those that `Stages.speak` asks a bundle's stages for."""

from __future__ import annotations

from dataclasses import dataclass

from edgevoice.manifest import Manifest, StageName
from edgevoice.options import LONGEST_IDS
from edgevoice.runtime.engines.tensorrt.build import Steps
from edgevoice.runtime.spectrum import margin

USUAL_IDS = 64
"""What kernels of the encoder are chosen for: a short sentence."""


@dataclass(frozen=True)
class Lengths:
    """``profiles``: to build with. ``fixed``: (profile, length) that come so often that they are kept ready,
    as a graph."""

    profiles: tuple[Steps, ...]
    fixed: tuple[tuple[int, int], ...] = ()

    @property
    def most(self) -> int:
        return max(steps.most for steps in self.profiles)


def of(manifest: Manifest) -> dict[StageName, Lengths]:
    """The encoder takes any number of ids, the others windows of their chunks.

    A long chunk's window is a static profile. All others are one dynamic profile, at its best for the first
    chunk: at a sentence's ends a window is as long as what is left there, for a stage pads where its input
    ends, and a window filled up to a fixed length would sound different.
    """
    first, long = manifest.chunks.first, manifest.chunks.long
    own = manifest.stages["acoustic"].context
    reach = margin(manifest.spectrum.n_fft, manifest.voice.hop) if manifest.spectrum else 0
    ahead = manifest.stages["vocoder"].context + reach
    return {
        "encoder": Lengths((Steps(1, USUAL_IDS, LONGEST_IDS),)),
        "acoustic": _windows(first + ahead + own, long + 2 * own, long + own + max(own, ahead)),
        "vocoder": _windows(first + ahead, long + 2 * ahead, long + 2 * ahead),
    }


def _windows(first: int, steady: int, most: int) -> Lengths:
    first = min(first, most)
    return Lengths((Steps.static(steady), Steps(1, first, most)), ((0, steady), (1, first)))
