"""How an utterance is cut into chunks that, run with their context, equal a whole run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edgevoice.manifest import Chunks


@dataclass(frozen=True)
class Window:
    """Frames ``start`` to ``stop`` are wanted; ``left`` to ``right`` go in, so that these are exact."""

    start: int
    stop: int
    left: int
    right: int

    def crop(self, rate: int = 1) -> slice:
        """The wanted part of what comes out, at ``rate`` steps a frame."""
        return slice((self.start - self.left) * rate, (self.stop - self.left) * rate)


def window(start: int, stop: int, context: int, frames: int) -> Window:
    """The context ends where the utterance ends: a stage pads there in a whole run too."""
    return Window(start, stop, max(0, start - context), min(frames, stop + context))


def spans(frames: int, chunks: Chunks) -> Iterator[tuple[int, int]]:
    """Cut ``frames`` into chunks that grow (by default double) from the first length to the long one.

    So what has been played always lasts while the next chunk is made, if a chunk takes at most half (one
    part in ``growth``) of the time it sounds; a jump from the first to the long length would pause on slower
    devices. A rest of up to half a
    chunk joins the chunk before it, if that stays within the long length: it costs about as much as the
    context that the two would need between them.
    """
    start, length = 0, chunks.first
    while start < frames:
        stop = min(frames, start + length)
        if start and frames - stop <= length // 2 and frames - start <= chunks.long:
            stop = frames
        yield start, stop
        start, length = stop, min(chunks.long, chunks.growth * length)
