"""What `edgevoice say` does: text or lines of standard input to a file, standard output or loudspeaker."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgevoice import audio
from edgevoice.errors import EdgevoiceError, NothingToSay
from edgevoice.runtime.voice import Voice, check_options

Note = Callable[[str], None]


def say(
    text: str,
    output: str | None,
    device: str | None,
    voice: str | None,
    threads: int | None,
    options: Mapping[str, Any],
    note: Note,
) -> None:
    """Speak ``text``, or the lines of standard input for "-".

    ``output``: a file, "-" for raw sound on standard output, None for the loudspeaker ``device``.
    ``options``: those of `Voice.stream`. What cannot work is refused before the voice is loaded, which takes
    a second on a small device.
    """
    check_options(options["speed"], options["pause"], options["seed"])
    _check_output(output, device)
    loaded = Voice.load(voice, threads, own_process=True)
    if loaded.stand_in:
        note(loaded.stand_in)
    options = {**options, "note": note}
    speeches = _by_line(loaded, options) if text == "-" else iter([loaded.stream(text, **options)])
    first = next(speeches, None)
    if first is None:
        raise EdgevoiceError("there is nothing to say on standard input: give lines with words")
    samples = 0
    with _sink(loaded.sample_rate, output, device, note) as sink:
        for sound in _joined(first, speeches, audio.silence(options["pause"], loaded.sample_rate)):
            sink.write(sound)
            samples += len(sound)
    if output not in (None, "-"):
        note(f"{output} holds {samples / loaded.sample_rate:.1f} s of sound")


def _joined(
    first: Iterator[audio.Float], rest: Iterator[Iterator[audio.Float]], pause: audio.Float
) -> Iterator[audio.Float]:
    yield from first
    for speech in rest:
        yield pause
        yield from speech


def _check_output(output: str | None, device: str | None) -> None:
    if output is None:
        audio.check_loudspeaker()
    elif device is not None:
        raise EdgevoiceError("--device is for the loudspeaker: leave it out with -o, or leave out -o")
    elif output != "-":
        audio.check_file(Path(output))


def _by_line(voice: Voice, options: Mapping[str, Any]) -> Iterator[Iterator[audio.Float]]:
    """The speech of each line of standard input as it arrives; lines without a word are skipped."""
    if sys.stdin is None:
        raise EdgevoiceError("standard input is closed: there is nothing to say")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    for line in filter(str.strip, sys.stdin):
        try:
            speech = voice.stream(line, **options)
        except NothingToSay:
            options["note"]("skipped a line without letters or numbers")
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
