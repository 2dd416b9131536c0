"""Send objects: several pieces under way at once, no faster than allowed, with a bar that says how long."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edgevoice.errors import EdgevoiceError
from edgevoice.progress import LINE_SECONDS, QUIET_SECONDS
from edgevoice.remote.ssh import Session

PIECE = 1 << 16
WINDOW = 16
"""Pieces that may be under way without an answer."""

BAR = 24


@dataclass(frozen=True)
class Item:
    """A file to send. ``arrived``: bytes of it that an interrupted deploy left there."""

    name: str
    sha256: str
    path: Path
    bytes: int
    arrived: int = 0


def send(session: Session, items: list[Item], rate: float | None = None, stream: TextIO | None = None) -> int:
    """Send all ``items``, at most ``rate`` bytes a second; returns how many bytes went over the line."""
    meter = Meter(sum(item.bytes - item.arrived for item in items), rate, stream or sys.stderr)
    try:
        for item in items:
            if not _send(session, item, meter):
                # Altered on the way, or what an interrupted deploy left was: once more from the beginning.
                meter.total += item.bytes
                if not _send(session, _anew(item), meter):
                    raise EdgevoiceError(
                        f"{item.name} arrives altered, or changes here: check the disks and the line"
                    )
    finally:
        meter.end()
    return meter.done


def _anew(item: Item) -> Item:
    return Item(item.name, item.sha256, item.path, item.bytes)


def _send(session: Session, item: Item, meter: Meter) -> bool:
    if item.arrived > item.bytes:
        session.ask("drop", sha256=item.sha256)
        item = _anew(item)
    offset, unanswered = item.arrived, 0
    with open(item.path, "rb") as source:
        source.seek(offset)
        while True:
            data = source.read(min(meter.piece, item.bytes - offset))
            if data:
                session.send("put", data, sha256=item.sha256, offset=offset)
                unanswered += 1
                offset += len(data)
                meter.add(len(data))
            while unanswered > (WINDOW if data else 0):
                session.receive()
                unanswered -= 1
            if not data:
                break
    if offset == 0:  # an empty file has no pieces
        session.send("put", b"", sha256=item.sha256, offset=0)
        session.receive()
    return bool(session.ask("keep", seconds=600, sha256=item.sha256)["kept"])


class Meter:
    """Counts what goes, holds it back to the rate, and shows it once it takes longer than two seconds."""

    def __init__(self, total: int, rate: float | None, stream: TextIO) -> None:
        self.total, self.rate, self.stream = total, rate, stream
        self.done = 0
        self.piece = PIECE if rate is None else max(512, min(PIECE, int(rate / 8)))
        self._redraw = stream.isatty()
        self._start = self._drawn = time.monotonic()
        self._shown = False

    def add(self, count: int) -> None:
        self.done += count
        now = time.monotonic()
        if self.rate is not None and self.done / self.rate > now - self._start:
            time.sleep(self.done / self.rate - (now - self._start))
        now = time.monotonic()
        pause = 0.2 if self._redraw else LINE_SECONDS
        if now - self._start > QUIET_SECONDS and now - self._drawn > pause:
            self._draw(now)

    def end(self) -> None:
        if self._shown and self._redraw:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

    def _draw(self, now: float) -> None:
        self._drawn, self._shown = now, True
        text = line(self.done, self.total, now - self._start)
        self.stream.write(f"\r\x1b[K{text}" if self._redraw else f"{text}\n")
        self.stream.flush()


def line(done: int, total: int, seconds: float) -> str:
    """``sending [#####...] 12.3/40.0 MB, 1.5 MB/s, about 18 s left``."""
    full = BAR * done // max(total, 1)
    speed = done / max(seconds, 1e-9)
    left = (total - done) / max(speed, 1.0)
    return (
        f"sending [{'#' * full}{'.' * (BAR - full)}] {done / 1e6:.1f}/{total / 1e6:.1f} MB, "
        f"{speed / 1e6:.2f} MB/s, about {left:.0f} s left"
    )


def parse_rate(text: str) -> float | None:
    """``"500k"``, ``"1.5M"`` or plain bytes a second; None for an empty text."""
    if not text:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kKmMgG]?)(?:i?[bB])?(?:/s)?", text)
    rate = float(found[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[found[2].lower()] if found else 0.0
    if rate < 1000:
        raise EdgevoiceError(f"--limit-rate {text!r}: write bytes a second, 1k or more, such as 500k or 2M")
    return rate
