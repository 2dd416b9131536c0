"""What is to be spoken, and whose turn it is: one voice, one chunk at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from edgevoice.audio import pcm16
from edgevoice.serve import protocol
from edgevoice.serve.connection import Connection
from edgevoice.serve.protocol import Request

if TYPE_CHECKING:
    from edgevoice.runtime.voice import Voice

MOST_JOBS = 32

AHEAD_SECONDS = 2.0
"""Sound that a client has beyond what it can have played; with less, nobody later is served before it."""


class Job:
    """One request, its voice (which a reload does not change), and how far it is."""

    def __init__(self, connection: Connection, voice: Voice, request: Request) -> None:
        self.connection, self.voice, self.request = connection, voice, request
        self.samples = 0
        self._first_sound: float | None = None
        self._sounds: Iterator[bytes] | None = None

    def ahead(self, now: float) -> float:
        """Seconds of sound that the client has in hand, if it plays since the first of it."""
        if self._first_sound is None:
            return 0.0
        return self.samples / self.voice.sample_rate - (now - self._first_sound)

    def step(self) -> None:
        """Speak the next chunk and send it. Raises what `Voice.stream` raises, and `Gone`."""
        if self._sounds is None:
            self._sounds = self._begin()
        pcm = next(self._sounds, None)
        if pcm is None:
            self.connection.send([protocol.told(b"E", protocol.End(self.samples))], last=True)
            return
        if self._first_sound is None:
            self._first_sound = time.monotonic()
        self.samples += len(pcm) // 2
        self.connection.send(protocol.sound(pcm))

    def _begin(self) -> Iterator[bytes]:
        asked = self.request
        sounds = self.voice.stream(
            asked.text,
            speed=asked.speed,
            pause=asked.pause,
            speaker=asked.speaker,
            seed=asked.seed,
            note=lambda text: self.connection.send([protocol.frame(b"N", text.encode("utf-8", "replace"))]),
        )
        return map(pcm16, sounds)


class Jobs:
    """The requests in the order they came; few enough that none waits for ever."""

    def __init__(self) -> None:
        self._all: list[Job] = []

    def __len__(self) -> int:
        return len(self._all)

    @property
    def full(self) -> bool:
        return len(self._all) >= MOST_JOBS

    def add(self, job: Job) -> None:
        self._all.append(job)

    def remove(self, connection: Connection) -> None:
        """Drop what it asked for, if that is not over already."""
        self._all = [job for job in self._all if job.connection is not connection]

    def next(self) -> Job | None:
        """The earliest that may soon run out of sound, else the one with the least in hand.

        So on a slow device one client is served smoothly after the other, and on a fast one a long text
        does not keep the others waiting. None if all have as much as they take.
        """
        ready = [job for job in self._all if not job.connection.full]
        now = time.monotonic()
        for job in ready:
            if job.ahead(now) < AHEAD_SECONDS:
                return job
        return min(ready, key=lambda job: job.ahead(now), default=None)
