"""Progress with an estimate for anything that takes more than two seconds, on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TextIO, TypeVar

T = TypeVar("T")

QUIET_SECONDS = 2.0
LINE_SECONDS = 10.0


def track(
    items: Iterable[T], label: str, total: int | None = None, stream: TextIO | None = None
) -> Iterator[T]:
    """Yield ``items``, reporting on stderr once they have taken two seconds.

    A terminal gets one line that is redrawn with the time left; anything else gets a line every ten seconds.
    """
    out = stream or sys.stderr
    if total is None and isinstance(items, Sized):
        total = len(items)
    redraw = out.isatty()
    start = last = time.monotonic()
    shown = False
    for done, item in enumerate(items):
        now = time.monotonic()
        if now - start > QUIET_SECONDS and now - last > (0.2 if redraw else LINE_SECONDS):
            _draw(out, label, done, total, now - start, redraw)
            last, shown = now, True
        yield item
    if shown and redraw:
        out.write("\r\x1b[K")
        out.flush()


def _draw(out: TextIO, label: str, done: int, total: int | None, elapsed: float, redraw: bool) -> None:
    text = f"{label}: {done}" + (f"/{total}" if total else "")
    if total and done:
        text += f", about {_duration(elapsed / done * (total - done))} left"
    out.write(f"\r\x1b[K{text}" if redraw else f"{text}\n")
    out.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
