"""Where speech comes from: the service that runs for a deployed folder, or a voice that is loaded here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevoice.audio import pcm16
from edgevoice.deploy.layout import is_deployed
from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish
from edgevoice.runtime.find import find
from edgevoice.serve import client
from edgevoice.serve.protocol import TooLong, Words

if TYPE_CHECKING:
    from edgevoice.runtime.voice import Voice

Note = Callable[[str], None]


@dataclass(frozen=True)
class Speech:
    """``chunks``: signed 16-bit little-endian samples at ``rate``."""

    rate: int
    chunks: Iterator[bytes]


@dataclass
class Source:
    """Speaks through the service that runs for the deployed folder ``voice``; else loads the voice.

    ``threads``, ``engine``: asked for either, it loads the voice, for a service has its own. ``socket``: of
    the one service to use. The sound is the same either way.
    """

    voice: str | None
    threads: int | None
    socket: Path | None
    note: Note
    engine: Wish = ""
    _service: Path | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)
    _loaded: Voice | None = field(default=None, init=False)
    _told: set[str] = field(default_factory=set, init=False)

    def prepare(self) -> None:
        """Find the service or load the voice now, so that the first line of a conversation need not wait."""
        if self._find() is None:
            self._load()

    def speak(self, text: str, options: Mapping[str, Any]) -> Speech:
        """Raises as `edgevoice.Voice.stream` does."""
        service = self._find()
        if service is not None:
            try:
                return self._through(service, Words(text, **options))
            except (client.ServiceAbsent, client.ServiceIll) as error:
                if self.socket:
                    raise
                self._service = None
                self.note(f"{error}; the voice is loaded here instead")
            except TooLong:
                if self.socket:
                    raise
        return self._here(text, options)

    def _find(self) -> Path | None:
        if not self._asked:
            self._asked = True
            self._service = self.socket or self._running()
        return self._service

    def _running(self) -> Path | None:
        if self.voice is None or self.threads is not None or self.engine:
            return None
        try:
            return client.find(self.voice) if is_deployed(self.voice) else None
        except client.ServiceIll as error:
            self.note(f"{error}; the voice is loaded here instead")
        except OSError:  # loading the voice meets it again, and says what to do
            pass
        return None

    def _through(self, service: Path, words: Words) -> Speech:
        speech = client.speak(service, words, self._once)
        self._once(speech.header.stand_in)
        return Speech(speech.header.rate, iter(speech))

    def _here(self, text: str, options: Mapping[str, Any]) -> Speech:
        voice = self._load()
        return Speech(voice.sample_rate, map(pcm16, voice.stream(text, note=self._once, **options)))

    def _load(self) -> Voice:
        from edgevoice.runtime.voice import Voice

        if self._loaded is None:
            self._loaded = Voice.load(
                self.voice, self.threads, own_process=True, engine=self.engine, note=self.note
            )
            self._once(self._loaded.stand_in)
            self._once(self._loaded.remark)
        return self._loaded

    def _once(self, remark: str) -> None:
        """A note that holds for the whole conversation is no news at its second line."""
        if remark and remark not in self._told:
            self._told.add(remark)
            self.note(remark)


def check(voice: str | None, threads: int | None, socket: Path | None, engine: Wish = "") -> None:
    """Refuse options that a given ``socket`` makes senseless, and a voice that is not there."""
    if socket and (voice is not None or threads is not None):
        raise EdgevoiceError("--socket names a service, which has its voice: leave out --voice and --threads")
    if socket and engine:
        raise EdgevoiceError("--socket names a service, which has its engines: leave out --require")
    # Nor is a deployed folder looked into: its service may speak though its files do not.
    if not socket and not (voice and is_deployed(voice)):
        find(voice)
