"""python benchmarks/memory.py BUNDLE: does a process that speaks stay small, however long the text is?"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import provenance, report
from benchmarks.engines import ENGINES, OURS, Contestant
from benchmarks.process import Process
from edgevoice.bench import TEXTS
from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track
from edgevoice.runtime.find import find

LENGTHS = (10, 100, 1_000, 10_000)


def text_of(characters: int) -> str:
    """Different sentences, over and over, cut at ``characters``."""
    passage = " ".join(TEXTS.values()) + " "
    return (passage * (characters // len(passage) + 1))[:characters]


def measure(bundle: Path, threads: int, characters: int) -> dict[str, float]:
    """A new process that says ``characters`` once: its peak memory, the audio it made, its CPU time."""
    with Process(Contestant(OURS, ENGINES[OURS], bundle), threads) as process:
        loaded = process.usage()["peak_mib"]
        said = process.say(text_of(characters), 0)
        peak = process.usage()["peak_mib"]
    return {
        "characters": characters,
        "audio_seconds": said["audio"],
        "cpu_rtf": said["cpu"] / said["audio"],
        "loaded_mib": loaded,
        "peak_mib": peak,
    }


def table(rows: Sequence[dict[str, float]]) -> list[list[str]]:
    head = ["characters", "audio, s", "CPU real-time factor", "peak when loaded, MiB", "peak memory, MiB"]
    order = ("audio_seconds", "cpu_rtf", "loaded_mib", "peak_mib")
    return [head] + [[f"{row['characters']:,}", *(report.number(row[key]) for key in order)] for row in rows]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="memory.py", description="Peak memory by length of text.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS, metavar="CHARACTERS")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments)
    try:
        report.check(options.json)
        facts = provenance.collect(options.threads, None, [options.bundle])
        bundle = find(options.bundle)
        rows = [measure(bundle, options.threads, length) for length in track(options.lengths, "texts")]
        found: dict[str, Any] = {"provenance": facts, "rows": rows}
        if options.json:
            report.write(options.json, json.dumps(found, indent=1))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join([*provenance.lines(facts), "One process a row; peak memory is VmHWM.", ""]))
    print((report.markdown if options.markdown else report.text)(table(rows)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
