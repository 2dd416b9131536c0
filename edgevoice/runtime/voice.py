"""A voice that speaks: text in, sound out, streaming."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgevoice import text as front
from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError, NothingToSay
from edgevoice.manifest import Chunks, Table
from edgevoice.options import LONGEST_IDS as LONGEST_IDS
from edgevoice.options import PAUSE_SECONDS, Wish, check_options
from edgevoice.runtime import find, styles
from edgevoice.runtime.choice import engines
from edgevoice.runtime.engines.onnx import share_pool
from edgevoice.runtime.engines.select import Selected, select
from edgevoice.runtime.silence import trimmed
from edgevoice.runtime.synthesis import Stages
from targets.cpus import usable_cpus

Float = npt.NDArray[np.float32]
Speaker = str | int | Mapping[str, float] | None

SENTENCE_LIMIT = 300
"""Characters: the first sound waits for the encoder, which takes a sentence at a time."""

LEAD_SECONDS = 0.05
"""The most that is made of the silence before a sentence: Kokoro's delays what is heard by 0.3 to 0.5 s."""

MOST_THREADS = 256


class Voice:
    """A loaded bundle. One voice may serve several threads: what a stream knows lies in the stream."""

    def __init__(self, bundle: Bundle, stages: Stages, table: front.TextTable, phonemizer: front.Phonemizer):
        self.bundle = bundle
        self.sample_rate = bundle.manifest.voice.sample_rate
        self.stages, self._table, self._phonemizer = stages, table, phonemizer
        self.stand_in = ""
        """Which phonemizer stands in for the one that the voice learnt with, and why; empty if none does."""
        speakers = bundle.manifest.voice.speakers
        self._rows = _rows(bundle, speakers) if speakers else None
        self._selected: Selected | None = None

    @classmethod
    def load(
        cls,
        voice: str | Path | None = None,
        threads: int | None = None,
        verify: bool = True,
        own_process: bool = False,
        engine: Wish = "",
        note: Callable[[str], None] = lambda _: None,
    ) -> Voice:
        """Load a bundle, or the release that a deployed folder speaks with; None is the voice in the package.

        threads: for all stages together; by default the CPUs that this process may use. own_process: nothing
        else in this process uses ONNX Runtime, so the stages may share its one process-wide thread pool.
        engine: "tensorrt" takes nothing else, "onnxruntime" leaves a GPU alone. note: told what takes long.
        Raises `EdgevoiceError` for anything that cannot be loaded.
        """
        bundle = find.read(voice, verify)
        count = usable_cpus() if threads is None else threads
        if not 1 <= count <= MOST_THREADS:
            raise EdgevoiceError(f"--threads {count} is not possible: give a number from 1 to {MOST_THREADS}")
        if own_process:
            share_pool(count)
        manifest = bundle.manifest
        selected = select(bundle, count, engine, note)
        phonemizer, stand_in = _phonemizer(bundle)
        loaded = cls(bundle, Stages(manifest, **selected.engines), _table(bundle), phonemizer)
        loaded.stand_in, loaded._selected = stand_in, selected
        return loaded

    @property
    def engines(self) -> str:
        """What runs each stage: "encoder FP32, ... by ONNX Runtime on the CPU"."""
        return self._selected.words if self._selected else engines(self.bundle.manifest)

    @property
    def remark(self) -> str:
        """Why stages run elsewhere than the bundle was made for; empty if none does."""
        return self._selected.remark if self._selected else ""

    @property
    def on_gpu(self) -> bool:
        """Whether it holds memory of the GPU."""
        return bool(self._selected and self._selected.on_gpu)

    @property
    def no_room(self) -> bool:
        """Whether it speaks on the CPU because the GPU had no memory for it when it was loaded."""
        return bool(self._selected and self._selected.no_room)

    @property
    def lost(self) -> bool:
        """Whether it speaks on the CPU because this process has lost the GPU; another may have it."""
        return bool(self._selected and self._selected.lost)

    @property
    def speakers(self) -> list[str]:
        table = self.bundle.manifest.voice.speakers
        return list(table.names) if table else []

    def stream(
        self,
        text: str,
        *,
        speed: float = 1.0,
        speaker: Speaker = None,
        pause: float = PAUSE_SECONDS,
        seed: int = 0,
        chunks: Chunks | None = None,
        trim: bool = True,
        note: Callable[[str], None] | None = None,
    ) -> Iterator[Float]:
        """Speak ``text``: yields one-dimensional float32 arrays in [-1, 1] at ``sample_rate``.

        speed: 2 is twice as fast; pause: seconds between sentences; speaker: a name, a number, or weights by
        name for a mixture; the same seed gives the same sound. trim: without the silence that the voice puts
        around a sentence. ``note`` is told what was skipped.
        Raises `EdgevoiceError`, before the first sound, for options that make no sense; `NothingToSay` for a
        text without a word.
        """
        check_options(speed, pause, seed)
        rows = self._chosen(speaker)
        notes = _Notes(note or (lambda _: None))
        sentences = self._sentences(text, lambda message: notes.take(message))
        first = next(sentences, None)
        if first is None:
            raise NothingToSay("there is nothing to say in this text: it has no letters or numbers")
        notes.release()
        said = self._speak(first, sentences, rows, speed, seed, chunks, trim)
        sound = self._paused(said, pause)
        return self._telling(sound, note) if note else sound

    def _telling(self, sound: Iterator[Float], note: Callable[[str], None]) -> Iterator[Float]:
        """What happens to the engines meanwhile is told as soon as it has happened."""
        news = self._selected.news if self._selected else []
        for part in sound:
            while news:
                note(news.pop(0))
            yield part

    def _speak(
        self,
        ids: npt.NDArray[np.int64] | None,
        rest: Iterator[npt.NDArray[np.int64]],
        rows: Float | None,
        speed: float,
        seed: int,
        chunks: Chunks | None,
        trim: bool,
    ) -> Iterator[Iterator[Float]]:
        """The sound of each sentence."""
        voice = self.bundle.manifest.voice
        lead = round(LEAD_SECONDS * voice.sample_rate / voice.hop) if trim else None
        number = 0
        while ids is not None:
            rng = np.random.default_rng([seed, number])
            sound = self.stages.speak(ids, rng, self._conditions(rows, len(ids)), speed, chunks, lead)
            yield trimmed(sound, self.sample_rate) if trim else sound
            ids, number = next(rest, None), number + 1

    def _paused(self, sentences: Iterator[Iterator[Float]], pause: float) -> Iterator[Float]:
        for number, sentence in enumerate(sentences):
            if number and pause:
                yield np.zeros(round(pause * self.sample_rate), np.float32)
            yield from sentence

    def _sentences(self, text: str, note: Callable[[str], None]) -> Iterator[npt.NDArray[np.int64]]:
        language = self.bundle.manifest.text.language
        told: set[str] = set()
        for sentence in front.sentences(front.clean(text, note), language, SENTENCE_LIMIT):
            if fresh := set(front.foreign_scripts(sentence, language)) - told:
                note(_foreign(fresh, language))
                told |= fresh
            for part in self._words(sentence, language):
                phonemes = self._phonemizer.phonemize(part)
                pieces, skipped = self._table.encode_parts(phonemes, LONGEST_IDS)
                if fresh := set(skipped) - told:
                    note(f"skipped {' '.join(sorted(fresh))}: the voice has no such sound")
                    told |= fresh
                if front.speakable(phonemes):
                    yield from pieces

    @staticmethod
    def _words(sentence: str, language: str) -> Iterator[str]:
        # 300 characters of digits are 2,700 of words: cut once more, at a word.
        words = front.normalise(sentence, language)
        return (
            iter([words])
            if len(words) <= SENTENCE_LIMIT
            else front.sentences(words, language, SENTENCE_LIMIT)
        )

    def _chosen(self, speaker: Speaker) -> Float | None:
        """The speaker's row or rows; None where the voice has one speaker."""
        table = self.bundle.manifest.voice.speakers
        if table is not None and self._rows is not None:
            return _mix(table, self._rows, speaker)
        if speaker not in (None, 0, "0"):
            raise EdgevoiceError(f"speaker {speaker!r}: this voice has one speaker, leave the option out")
        return None

    def _conditions(self, rows: Float | None, ids: int) -> dict[str, Float]:
        table = self.bundle.manifest.voice.speakers
        return {} if table is None or rows is None else {"speaker": styles.at(rows, table.counts, ids)}


class _Notes:
    """Notes that wait until there is something to say: a refusal is one line."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._waiting: list[str] = []
        self.take = self._waiting.append

    def release(self) -> None:
        self.take = self._note
        for message in self._waiting:
            self._note(message)


def _foreign(scripts: set[str], language: str) -> str:
    return (
        f"{' and '.join(sorted(scripts))} letters are foreign to a voice that speaks {language}: it spells "
        "them, guesses, or leaves them out"
    )


def _mix(table: Table, rows: Float, speaker: Speaker) -> Float:
    if isinstance(speaker, Mapping):
        total = sum(speaker.values())
        if not (0 < total < math.inf and min(speaker.values()) >= 0):
            raise EdgevoiceError("a mixture of speakers needs weights of 0 or more that sum to more than 0")
        parts = [weight / total * rows[_row(table, name)] for name, weight in speaker.items()]
        return np.asarray(np.sum(parts, axis=0), np.float32)
    return np.asarray(rows[_row(table, speaker)], np.float32)


def _row(table: Table, speaker: str | int | None) -> int:
    if speaker is None:
        return table.default
    if speaker in table.names:
        return table.names.index(str(speaker))
    if str(speaker).isdecimal() and int(speaker) < len(table.names):
        return int(speaker)
    some = ", ".join(table.names[:8]) + (" ..." if len(table.names) > 8 else "")
    raise EdgevoiceError(f"this voice has no speaker {speaker!r}: choose from {some}")


def _rows(bundle: Bundle, table: Table) -> Float:
    """The speakers' rows, f32 [names, width], or [names, counts, width]."""
    path = bundle.file(table.file)
    try:
        rows = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        rows = np.zeros(0)
    shape = (len(table.names), len(table.counts)) if table.counts else (len(table.names),)
    if rows.shape[:-1] != shape or not 0 <= table.default < len(rows):
        raise EdgevoiceError(f"{path} is no table of {len(table.names)} speakers: compress the voice again")
    return np.asarray(rows, np.float32)


def _table(bundle: Bundle) -> front.TextTable:
    path = bundle.file(bundle.manifest.text.file)
    try:
        return front.TextTable.from_dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError, OSError):
        raise EdgevoiceError(f"{path} is no table of symbols: compress the voice again") from None


def _phonemizer(bundle: Bundle) -> tuple[front.Phonemizer, str]:
    """The first of the voice's phonemizers that works here, and, where it is not the first, a word on that.

    Where none works, what the first one lacks.
    """
    refusal: EdgevoiceError | None = None
    for name in bundle.manifest.text.phonemizers:
        try:
            found = front.phonemizer(name, bundle.manifest.text.language)
        except EdgevoiceError as error:
            refusal = refusal or error
        else:
            return found, f"phonemes come from {name!r}: {refusal}" if refusal else ""
    raise refusal or EdgevoiceError(f"{bundle.path} names no phonemizer: compress the voice again")
