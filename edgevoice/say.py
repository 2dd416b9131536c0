"""What `edgevoice say` does: text or lines of standard input to a file, standard output or loudspeaker."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgevoice import audio
from edgevoice.errors import EdgevoiceError, NothingToSay
from edgevoice.options import check_options
from edgevoice.source import Note, Source, Speech

Options = Mapping[str, Any]


def say(text: str, output: str | None, device: str | None, source: Source, options: Options) -> None:
    """Speak ``text``, or the lines of standard input for "-".

    ``output``: a file, "-" for raw sound on standard output, None for the loudspeaker ``device``.
    ``options``: speed, pause, speaker and seed, as `edgevoice.Voice.stream` takes them. What cannot work is
    refused before a voice is loaded, which takes a second on a small device.
    """
    check_options(options["speed"], options["pause"], options["seed"])
    _check_output(output, device)
    if _is_file(text):
        source.note(f"{text} is a file: `edgevoice say - < {text}` speaks what is in it")
    source.prepare()
    speeches = _by_line(source, options) if text == "-" else iter([source.speak(text, options)])
    first = next(speeches, None)
    if first is None:
        raise EdgevoiceError("there is nothing to say on standard input: give lines with words")
    samples = 0
    with _sink(first.rate, output, device, source.note) as sink:
        for pcm in _joined(first, speeches, options["pause"]):
            sink.write(pcm)
            samples += len(pcm) // 2
    if output not in (None, "-"):
        source.note(f"{output} holds {samples / first.rate:.1f} s of sound")


def _joined(first: Speech, rest: Iterator[Speech], pause: float) -> Iterator[bytes]:
    yield from first.chunks
    for speech in rest:
        if speech.rate != first.rate:
            raise EdgevoiceError(
                f"the voice was exchanged for one of {speech.rate} Hz, the sound began at {first.rate} Hz: "
                "start again"
            )
        yield audio.silence(pause, speech.rate)
        yield from speech.chunks


def _check_output(output: str | None, device: str | None) -> None:
    if output is None:
        audio.check_loudspeaker()
    elif device is not None:
        raise EdgevoiceError("--device is for the loudspeaker: leave it out with -o, or leave out -o")
    elif output != "-":
        audio.check_file(Path(output))


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False


def _by_line(source: Source, options: Options) -> Iterator[Speech]:
    """The speech of each line of standard input as it arrives; lines without a word are skipped."""
    if sys.stdin is None:
        raise EdgevoiceError("standard input is closed: there is nothing to say")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for line in filter(str.strip, sys.stdin):
        try:
            speech = source.speak(line, options)
        except NothingToSay:
            source.note("skipped a line without letters or numbers")
            continue
        yield speech


@contextmanager
def _sink(rate: int, output: str | None, device: str | None, note: Note) -> Iterator[audio.Sink]:
    if output == "-":
        yield audio.Raw()
    elif output is not None:
        with audio.open_file(Path(output), rate) as file:
            yield file
    else:
        with audio.open_loudspeaker(rate, device) as speaker:
            yield speaker
        if speaker.underruns:
            times = f"{speaker.underruns} time{'s' * (speaker.underruns > 1)}"
            note(f"the loudspeaker ran out of sound {times}: too slow, too busy, or no text came")
