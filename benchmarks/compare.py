"""edgevoice and its peers on one voice: same sentences, same threads, one run, in turns."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks import provenance, report
from benchmarks.engines import DEFAULT, ENGINES, OF_KOKORO, OURS, Contestant
from benchmarks.measure import WARM_UPS, run
from benchmarks.sentences import Groups, groups
from edgevoice.errors import EdgevoiceError

LEAST_RUNS = 10

NOTES = (
    "Every engine's time goes from letters to samples, phonemes included.",
    "First sound: 50 ms of sound behind the leading silence (below -50 dBFS) have arrived; the same for all.",
    "Cold: a new process each, from its first line; the files may lie in the disk cache.",
    "Peak memory: VmHWM of a process that spoke a sentence of each length.",
    "Ratios: peer / ours, round by round; in brackets 5th to 95th percentile of the rounds.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _compare(options)
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="peers.py", description=__doc__)
    parser.add_argument(
        "--voice", type=Path, help="the voice for the peers: a Piper voice, NAME.onnx, or kokoro"
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        action="append",
        default=[],
        help="ours; may be given several times, and each is held against those before it",
    )
    parser.add_argument("--engines", help=f"default: {','.join(DEFAULT)}; of Kokoro {','.join(OF_KOKORO)}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=LEAST_RUNS, help=f"at least {LEAST_RUNS}")
    parser.add_argument(
        "--sentences", type=Path, help="a file, one sentence a line; default: those of `edgevoice bench`"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples there too")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser


def _compare(options: argparse.Namespace) -> int:
    if options.runs < LEAST_RUNS or options.threads < 1:
        raise EdgevoiceError(f"give --threads 1 or more, and --runs {LEAST_RUNS} or more")
    report.check(options.json)
    texts, voice = groups(options.sentences), _voice(options.voice)
    facts = provenance.collect(options.threads, voice, options.bundle)
    with tempfile.TemporaryDirectory() as scratch:
        names = options.engines.split(",") if options.engines else _default(voice)
        contestants = line_up(names, voice, options.bundle, Path(scratch))
        samples, about, working = run(contestants, texts, options.threads, options.runs)
    rows = report.summary(samples, contestants)
    engines = {name: {"about": about[name], "working_threads": working[name]} for name in about}
    print("\n".join([*provenance.lines(facts), *_conditions(engines, texts, options.runs), ""]))
    print((report.markdown if options.markdown else report.text)(report.table(rows, contestants)))
    print("\n".join(["", *NOTES]))
    if options.json:
        found = {"provenance": facts, "engines": engines, "sentences": texts}
        report.write(options.json, json.dumps({**found, "rows": rows, "samples": samples}, indent=1))
    return 0


def _default(voice: Path | None) -> Sequence[str]:
    return OF_KOKORO if voice is not None and _is_kokoro(voice) else DEFAULT


def _is_kokoro(path: Path) -> bool:
    try:
        from compress.teachers import is_kokoro
    except ModuleNotFoundError:  # peers of Piper voices need nothing that cuts a voice
        return False
    return is_kokoro(path)


def _voice(path: Path | None) -> Path | None:
    if path is None or _is_kokoro(path):
        return path
    for file in (path, path.with_name(path.name + ".json")):
        if not file.is_file():
            raise EdgevoiceError(f"{file} does not exist: --voice names NAME.onnx, NAME.onnx.json beside it")
    return path.absolute()


def line_up(
    names: Sequence[str], voice: Path | None, bundles: Sequence[Path], scratch: Path
) -> list[Contestant]:
    """The table's columns. Raises `EdgevoiceError` for an engine that has nothing to speak with."""
    found = []
    for name in names:
        if name not in ENGINES:
            raise EdgevoiceError(f"there is no engine {name!r}: choose from {', '.join(ENGINES)}")
        prepare = import_module(ENGINES[name]).prepare
        if name == OURS:
            if not bundles:
                raise EdgevoiceError("name a bundle with --bundle, or leave edgevoice out with --engines")
            titles = _titles(bundles)
            found += [
                Contestant(title, ENGINES[name], prepare(path, scratch), ours=True)
                for title, path in zip(titles, bundles, strict=True)
            ]
        elif voice is None:
            raise EdgevoiceError(f"{name} needs --voice NAME.onnx, or leave it out with --engines")
        else:
            found.append(Contestant(name, ENGINES[name], prepare(voice, scratch)))
    return found


def _titles(bundles: Sequence[Path]) -> list[str]:
    if len(bundles) == 1:
        return [OURS]
    names = [path.absolute().name for path in bundles]
    return names if len(set(names)) == len(names) else [str(path) for path in bundles]


def _conditions(engines: dict[str, Any], texts: Groups, runs: int) -> list[str]:
    said = ", ".join(f"{name} {min(len(lines), runs)}" for name, lines in texts.items())
    return [
        *(
            f"{name}: {row['about']}; threads that worked: {row['working_threads']}"
            for name, row in engines.items()
        ),
        f"{runs} runs each, in turns, after {WARM_UPS} warm-up runs; different sentences: {said}.",
    ]
