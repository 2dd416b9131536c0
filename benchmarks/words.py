"""python benchmarks/words.py TEACHER BUNDLE ...: word errors of bundles and of their teacher, and of each
bundle against those named before it, such as INT8 against FP32.

The held-out sentences, never trained or calibrated on, are said by the teacher in FP32 and by each bundle as
its users hear it, its own durations included; a recogniser writes both down. The speakers of a voice take
turns. Fifty sentences decide nothing about word errors, hundreds do, and take half an hour: ``--kept FILE``
keeps what was heard of every sentence, and goes on. A teacher may take hours: ``--without-teacher`` leaves
it out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import provenance, report
from calibration.measures import words
from calibration.measures.compare import require
from calibration.measures.statistics import Interval, paired_rate
from compress import corpus, teachers
from compress.draft import Draft, prepare
from compress.recipe import load
from compress.staged import StagedVoice
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track
from edgevoice.runtime.find import find
from edgevoice.runtime.voice import Voice

COUNT = 500
SEED = 5
PROBED = 50
TEACHER = "teacher"
FIELDS = ("recogniser", "talker", "number", "text", "heard")

Float = npt.NDArray[np.float32]
Says = Callable[[int, str], Float]


@dataclass(frozen=True)
class Talker:
    """``identity``: what its sound depends on; another one's kept sentences are not its own."""

    name: str
    identity: str
    sample_rate: int
    says: Says


def taught(draft: Draft) -> Talker:
    """The teacher, all stages in FP32; the sentence's number chooses speaker and noise."""

    def says(number: int, text: str) -> Float:
        ids = draft.ids([text])[0]
        rng = np.random.default_rng([SEED, number])
        return np.concatenate(list(draft.stages().speak(ids, rng, draft.conditions(number, len(ids)))))

    # The front end decides the ids; these sentences stand for what it makes of all others.
    identity = json.dumps(draft.key(corpus.held_out()[:PROBED]))
    return Talker(TEACHER, _digest(identity), draft.staged.sample_rate, says)


def shipped(path: Path, threads: int, teacher: StagedVoice) -> Talker:
    """A bundle of ``teacher`` as its users hear it; the teacher's speakers take turns."""
    voice, speakers = Voice.load(find(path), threads), teacher.speaker_names
    if voice.bundle.manifest.provenance.teacher != teacher.sha256:
        raise EdgevoiceError(f"{path} was made of another voice than {teacher.name}")
    if missing := [name for name in speakers if name not in voice.speakers]:
        raise EdgevoiceError(f"{path} has no speaker {missing[0]}, which the teacher has")

    def says(number: int, text: str) -> Float:
        speaker = speakers[number % len(speakers)] if speakers else None
        return np.concatenate(list(voice.stream(text, speaker=speaker, seed=number, pause=0.0)))

    return Talker(str(path), f"{voice.bundle.id} {version('edgevoice')}", voice.sample_rate, says)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


Key = tuple[str, str, int, str]


class Kept:
    """What was heard of each sentence, a line of JSON each, so that an interrupted run goes on."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._found = path, dict(_lines(path))

    def heard(self, talker: Talker, number: int, text: str) -> str:
        key = (words.MODEL[1], talker.identity, number, text)
        if key not in self._found:
            self._found[key] = words.transcribe(talker.says(number, text), talker.sample_rate)
            self._append(dict(zip(FIELDS, (*key, self._found[key]), strict=True)))
        return self._found[key]

    def _append(self, row: dict[str, Any]) -> None:
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise EdgevoiceError(f"cannot write {self._path}: {error.strerror}") from None


def _lines(path: Path | None) -> Iterator[tuple[Key, str]]:
    if path is None or not path.exists():
        return
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise EdgevoiceError(f"{path} is no file of sentences that were kept: name another") from None
    for number, line in enumerate(lines, start=1):
        try:
            *key, heard = (json.loads(line)[name] for name in FIELDS)
            yield tuple(key), heard
        except (ValueError, KeyError, TypeError):
            raise EdgevoiceError(
                f"{path}, line {number} is no sentence that was kept: remove the line, or name another file"
            ) from None


def figures(
    talkers: Sequence[Talker], sentences: Sequence[str], kept: Kept
) -> dict[str, dict[str, Interval]]:
    """For each talker: its word error rate, and how much that is above each talker's named before it."""
    errors: dict[str, list[int]] = {one.name: [] for one in talkers}
    totals: list[int] = []
    for number, text in enumerate(track(list(sentences), "listening")):
        for one in talkers:
            wrong, total = words.word_errors(text, kept.heard(one, number, text))
            errors[one.name].append(wrong)
        totals.append(total)
    none, names = [0] * len(totals), list(errors)
    return {
        name: {
            "rate": paired_rate(none, errors[name], totals),
            **{above(other): paired_rate(errors[other], errors[name], totals) for other in names[:place]},
        }
        for place, name in enumerate(names)
    }


def above(name: str) -> str:
    return f"above {'the ' if name == TEACHER else ''}{name}"


def table(found: dict[str, dict[str, Interval]]) -> list[list[str]]:
    names = list(found)
    bases = [above(name) for name in names[:-1]]
    rows = [[name, *(_shown(found[name].get(column)) for column in ("rate", *bases))] for name in names]
    return [["word errors, % (95 % interval)", "rate", *(f"{base}, points" for base in bases)], *rows]


def _shown(figure: Interval | None) -> str:
    if figure is None:
        return ""
    mean, low, high = (100 * value for value in (figure.mean, figure.low, figure.high))
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


def measure(options: argparse.Namespace) -> dict[str, dict[str, Interval]]:
    sentences = corpus.held_out()
    if not 0 < options.count <= len(sentences):
        raise EdgevoiceError(
            f"--count {options.count}: from 1 to {len(sentences)} held-out sentences are there"
        )
    if len(set(options.bundle)) < len(options.bundle) or Path(TEACHER) in options.bundle:
        raise EdgevoiceError(f"name each bundle once, and none of them {TEACHER!r}")
    if options.without_teacher and not options.bundle:
        raise EdgevoiceError("without the teacher nobody speaks: name a bundle")
    kept, voice = Kept(options.kept), teachers.read(options.teacher)
    talkers = [shipped(path, options.threads, voice) for path in options.bundle]
    with tempfile.TemporaryDirectory() as scratch:
        if not options.without_teacher:
            talkers.insert(0, taught(prepare(voice, load("split"), Workspace(Path(scratch)))))
        return figures(talkers, sentences[: options.count], kept)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="words.py", description="Word errors against the teacher's.")
    parser.add_argument("teacher", type=Path, help="the voice's file, or kokoro")
    parser.add_argument("bundle", type=Path, nargs="*", help="bundles; without any, the teacher alone")
    parser.add_argument("--count", type=int, default=COUNT, help=f"sentences (default: {COUNT})")
    parser.add_argument(
        "--without-teacher", action="store_true", help="hold bundles against each other alone"
    )
    parser.add_argument("--kept", type=Path, metavar="FILE", help="keep what was heard, and go on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        require(["words"])
        facts = provenance.collect(options.threads, options.teacher, options.bundle)
        report.check(options.json)  # half an hour later would be too late
        found = measure(options)
        if options.json:
            plain = {name: {key: one.json() for key, one in own.items()} for name, own in found.items()}
            report.write(options.json, json.dumps({"provenance": facts, "figures": plain}, indent=1))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(provenance.lines(facts)))
    print(report.text(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
