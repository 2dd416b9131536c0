"""python benchmarks/apart.py FIRST SECOND: how far a bundle's sound is from another one's of the same voice.

Such as INT8 from FP32: both say the same held-out sentences at the durations and noise of the first, their
speakers in turn. What the second's own durations would change has figures of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import provenance, report
from calibration.measures.compare import DIFFERENCES, Comparison, available, compare, require
from compress import corpus, judge
from compress.draft import Recorder
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines import Engine
from edgevoice.runtime.find import find
from edgevoice.runtime.voice import Voice

COUNT = 50
MEASURES = ("spectral", "dnsmos", "speaker", "words")


def apart(paths: Sequence[Path], sentences: Sequence[str], groups: Sequence[str], threads: int) -> Comparison:
    """The second of two bundles against the first. Raises `EdgevoiceError` for bundles of two voices."""
    first, second = (Voice.load(find(path), threads, engine="onnxruntime") for path in paths)
    described = [(v.bundle.manifest.provenance.teacher, v.sample_rate, v.speakers) for v in (first, second)]
    if described[0] != described[1]:
        raise EdgevoiceError(f"{paths[0]} and {paths[1]} are not of the same voice")
    recorder = Recorder(first.stages.encoder)
    before = _said(first, recorder, sentences)
    durations = [outputs[1] for outputs in recorder.outputs]
    forced = judge.Forced(second.stages.encoder, durations)
    after = _said(second, forced, sentences)
    found = compare(before, after, first.sample_rate, texts=sentences, groups=groups)
    timed = judge.durations(durations, forced.own, first.bundle.manifest.durations)
    return replace(found, figures={**found.figures, **timed.figures})


def _said(voice: Voice, encoder: Engine, sentences: Sequence[str]) -> list[npt.NDArray[np.float32]]:
    voice.stages, names = replace(voice.stages, encoder=encoder), voice.speakers
    sounds = []
    for number, text in enumerate(sentences):
        speaker = names[number % len(names)] if names else None
        chunks = voice.stream(text, speaker=speaker, seed=number, pause=0.0, trim=False)
        sounds.append(np.concatenate(list(chunks)))
    return sounds


def table(found: Mapping[str, Any], second: str, first: str) -> list[list[str]]:
    rows = [[f"{second} against {first}", "mean (95 % interval)"]]
    for name, figure in found.items():
        mark = " (change)" if name in DIFFERENCES else ""
        rows.append([f"{name}{mark}", f"{figure.mean:.3f} ({figure.low:.3f} to {figure.high:.3f})"])
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="apart.py", description="A bundle against another of its voice.")
    parser.add_argument("first", type=Path, help="the reference, such as the FP32 bundle")
    parser.add_argument("second", type=Path)
    parser.add_argument("--count", type=int, default=COUNT, help=f"sentences (default: {COUNT})")
    parser.add_argument("--measures", help=f"default: what is here of {','.join(MEASURES)}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        groups = (
            options.measures.split(",") if options.measures else [g for g in MEASURES if g in available()]
        )
        require(groups)
        report.check(options.json)
        sentences = corpus.held_out()
        if not 0 < options.count <= len(sentences):
            raise EdgevoiceError(
                f"--count {options.count}: from 1 to {len(sentences)} held-out sentences are there"
            )
        paths = (options.first, options.second)
        if paths[0].name == paths[1].name:
            raise EdgevoiceError("the bundles' folders must have two names: rename or copy one")
        facts = provenance.collect(options.threads, None, paths)
        found = apart(paths, sentences[: options.count], groups, options.threads).figures
        if options.json:
            plain = {name: figure.json() for name, figure in found.items()}
            report.write(options.json, json.dumps({"provenance": facts, "figures": plain}, indent=1))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(provenance.lines(facts)))
    print(report.text(table(found, str(options.second), str(options.first))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
