"""python benchmarks/chunks.py BUNDLE: which first and long chunk lengths suit this machine."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import provenance, report
from benchmarks.engines import ENGINES, OURS, Contestant
from benchmarks.measure import Samples, warm
from benchmarks.sentences import groups
from edgevoice.bench import Spread
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.find import find

FIRST, LONG = (8, 16, 24, 32), (32, 64, 96, 128, 192)


def contestants(bundle: Path, firsts: Sequence[int], longs: Sequence[int]) -> list[Contestant]:
    return [
        Contestant(f"{first}, {long}", ENGINES[OURS], bundle, {"first": first, "long": long})
        for first in firsts
        for long in longs
        if first <= long
    ]


def table(samples: Samples, names: Sequence[str]) -> list[list[str]]:
    """One row a choice; medians."""
    columns = [row for row in samples if _wanted(row)]
    body = [
        [name, *(report.number(Spread.of(samples[column][name]).median) for column in columns)]
        for name in names
    ]
    return [["first, long", *columns], *body]


def _wanted(row: str) -> bool:
    wall = row.startswith(("first sound", "real-time")) and "CPU" not in row
    return not wall and not row.startswith("audio")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="chunks.py", description="Chunk lengths, in frames, compared.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--first", type=int, nargs="+", default=FIRST, metavar="FRAMES")
    parser.add_argument("--long", type=int, nargs="+", default=LONG, metavar="FRAMES")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments)
    try:
        report.check(options.json)
        facts = provenance.collect(options.threads, None, [options.bundle])
        choices = contestants(find(options.bundle), options.first, options.long)
        samples: Samples = {}
        warm(choices, groups(None), options.threads, options.runs, samples)
        if options.json:
            report.write(options.json, json.dumps({"provenance": facts, "samples": samples}, indent=1))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(provenance.lines(facts)))
    print(
        f"{options.runs} runs each, in turns, medians. "
        "slack: how many times slower the machine might be with no gap between chunks.\n"
    )
    lines = table(samples, [choice.name for choice in choices])
    print(report.markdown(lines) if options.markdown else report.text(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
