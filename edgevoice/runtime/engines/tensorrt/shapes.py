"""Which lengths an engine is built for: those that `Stages.speak` asks a bundle's stages for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgevoice.manifest import Chunks, Manifest, StageName
from edgevoice.options import LONGEST_IDS
from edgevoice.runtime.chunks import spans, window
from edgevoice.runtime.engines.tensorrt.build import Steps
from edgevoice.runtime.synthesis import ahead

USUAL_IDS = 64
"""What kernels of the encoder are chosen for: a short sentence."""


@dataclass(frozen=True)
class Lengths:
    """``profiles``: to build with. ``fixed``: (profile, length) that come so often that they are kept ready,
    as a graph."""

    profiles: tuple[Steps, ...]
    fixed: tuple[tuple[int, int], ...] = ()

    @property
    def all(self) -> Steps:
        """Every length in one profile, at its best for the one that comes most."""
        least = min(steps.least for steps in self.profiles)
        best = self.fixed[0][1] if self.fixed else self.profiles[-1].best
        return Steps(least, best, self.most)

    @property
    def most(self) -> int:
        return max(steps.most for steps in self.profiles)


def of(manifest: Manifest) -> dict[StageName, Lengths]:
    """The encoder takes any number of ids, the others windows of their chunks.

    A long chunk's window is a static profile. All others are one dynamic profile, at its best for the first
    chunk: at a sentence's ends a window is as long as what is left there, for a stage pads where its input
    ends, and a window filled up to a fixed length would sound different. The windows of the chunks that grow
    come in every long sentence and are kept ready too.
    """
    long = manifest.chunks.long
    own = manifest.stages["acoustic"].context
    further = ahead(manifest)
    acoustic, vocoder = zip(*_asked(manifest.chunks, own, further), strict=True)
    return {
        "encoder": Lengths((Steps(1, USUAL_IDS, LONGEST_IDS),)),
        "acoustic": _windows(acoustic, long + own + max(own, further)),
        "vocoder": _windows(vocoder, long + 2 * further),
    }


def _asked(chunks: Chunks, own: int, ahead: int) -> list[tuple[int, int]]:
    """Frames that acoustic model and vocoder get for each chunk of an endless sentence, until they repeat."""
    endless = 1 << 40
    rows: list[tuple[int, int]] = []
    made = 0
    for start, stop in spans(endless, chunks):
        heard = window(start, stop, ahead, endless)
        fresh = window(made, heard.right, own, endless)
        rows.append((fresh.right - fresh.left, heard.right - heard.left))
        made = heard.right
        if len(rows) > 1 and rows[-1] == rows[-2]:
            break
    return rows[:-1]


def _windows(asked: Sequence[int], most: int) -> Lengths:
    *growing, steady = asked
    others = sorted({min(length, most) for length in growing} - {steady})
    best = min(asked[0], most)
    fixed = ((0, steady), *((1, length) for length in others))
    return Lengths((Steps.static(steady), Steps(1, best, most)), fixed)
