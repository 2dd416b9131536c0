"""python benchmarks/sensitivity.py VOICE: what the search for the layers that INT8 may touch is worth.

One stage of a voice twice in INT8, from the same ranges: all of its layers, and the set that the search
found. Both are held against FP32 at the same durations and noise, on sentences that neither saw.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import provenance, report
from calibration.measures.compare import DIFFERENCES, Comparison, available, require
from calibration.measures.statistics import Interval, paired
from compress import corpus, judge, teachers, variants
from compress.describe import made_by
from compress.draft import prepare, speak
from compress.measuring import Measuring
from compress.recipe import Recipe, load
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, StageName
from edgevoice.runtime.engines.onnx import OnnxEngine
from targets import load as load_target

SEED = 2
LEAST = 20
ALL, FOUND = "all layers", "the set found"
SHOWN = (
    "log_mel_l1",
    "stft_distance",
    "dnsmos_overall",
    "dnsmos_background",
    "dnsmos_p808",
    "speaker_cosine",
    "wer",
)
MEASURES = ("spectral", "dnsmos", "speaker", "words")


def compare(
    voice: Path, stage: StageName, recipe: Recipe, groups: Sequence[str], work: Workspace
) -> dict[str, Any]:
    """Figures of both files, their difference sentence by sentence, and CPU time against FP32."""
    draft = prepare(teachers.read(voice), recipe, work)
    chosen = corpus.choose(draft, recipe, None)
    run = Measuring(draft, recipe, load_target("cpu"), chosen, speak(draft, chosen.judging, SEED), work)
    made = _made(run, stage)
    files = {name: one.path for name, one in made.items() if one.path}
    engines = {name: {stage: OnnxEngine(path, 1)} for name, path in files.items()}
    heard = {name: judge.quality(draft, run.spoken, engine, groups) for name, engine in engines.items()}
    audio = [len(sound) / draft.staged.sample_rate for sound in run.spoken.sounds]
    times = judge.milliseconds([draft.path(stage), *files.values()], run.spoken.feeds[stage], audio)
    return {
        "figures": {name: {n: f.json() for n, f in one.figures.items()} for name, one in heard.items()},
        "worse": {name: figure.json() for name, figure in differences(heard[FOUND], heard[ALL]).items()},
        "faster": {name: times[0] / other for name, other in zip(files, times[1:], strict=True)},
        "int8_operators": {name: sum(one.operators.values()) for name, one in made.items()},
        "left_out": {name: loss for name, loss in made[FOUND].left.items() if loss is not None},
        "sentences": len(run.spoken.sentences),
    }


def _made(run: Measuring, stage: StageName) -> dict[str, variants.Made]:
    settings = run.recipe.quantize
    assert settings is not None
    material, made = run.material[stage], {}
    for name, seconds in ((ALL, 0.0), (FOUND, settings.search_seconds)):
        asked = msgspec.structs.replace(settings, search_seconds=seconds)
        recipe = msgspec.structs.replace(run.recipe, quantize=asked)
        work = run.work.inner(name.replace(" ", "-"))
        (made[name],) = variants.make(run.draft, stage, recipe, run.target, material, work)
        if made[name].path is None:
            raise EdgevoiceError(f"the {stage} could not be made smaller: {made[name].refused}")
    return made


def differences(found: Comparison, whole: Comparison) -> dict[str, Interval]:
    """All layers minus the set found, paired over the sentences."""
    return {name: paired(row, whole.sentences[name]) for name, row in found.sentences.items()}


def table(found: Mapping[str, Any]) -> list[list[str]]:
    rows = [["against FP32", ALL, FOUND, "all minus found, paired"]]
    for name in SHOWN:
        if name in found["figures"][FOUND]:
            mark = " (change)" if name in DIFFERENCES else ""
            both = [_cell(found["figures"][which][name]) for which in (ALL, FOUND)]
            apart = _cell(found["worse"][name]) if name in found["worse"] else ""
            rows.append([f"{name}{mark}", *both, apart])
    speed = [f"{found['faster'][which]:.2f}" for which in (ALL, FOUND)]
    count = [str(found["int8_operators"][which]) for which in (ALL, FOUND)]
    return [*rows, ["times as fast as FP32", *speed, ""], ["operators in INT8", *count, ""]]


def _cell(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="sensitivity.py", description=__doc__)
    parser.add_argument("voice", type=Path, help="a voice with stages of its own, NAME.onnx")
    parser.add_argument("--stage", choices=STAGES, default="vocoder")
    parser.add_argument("--recipe", default="quantize", help="its [quantize] table is used")
    parser.add_argument("--sentences", type=int, default=LEAST)
    parser.add_argument("--measures", help=f"default: what is here of {','.join(MEASURES)}")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep what is made there, to go on from")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments)
    try:
        report.check(options.json)
        facts = provenance.collect(1, options.voice if options.voice.is_file() else None, [])
        found = _found(options)
        if options.json:
            report.write(options.json, json.dumps({"provenance": facts, **found}, indent=1))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    left = ", ".join(f"{name} {loss:.3f}" for name, loss in found["left_out"].items()) or "none"
    told = f"{options.stage}, {found['sentences']} sentences; left in floating point: {left}"
    print("\n".join([*provenance.lines(facts), told, ""]))
    print((report.markdown if options.markdown else report.text)(table(found)))
    return 0


def _found(options: argparse.Namespace) -> dict[str, Any]:
    recipe = load(options.recipe)
    if recipe.quantize is None or options.stage not in recipe.quantize.stages:
        raise EdgevoiceError(f"recipe {recipe.name} makes no INT8 of the {options.stage}: name another")
    groups = options.measures.split(",") if options.measures else [g for g in MEASURES if g in available()]
    require(groups)
    judging = msgspec.structs.replace(recipe.judge, sentences=options.sentences)
    recipe = msgspec.structs.replace(recipe, judge=judging)
    with tempfile.TemporaryDirectory() as scratch:
        work = Workspace(options.work or Path(scratch), made_by())
        return compare(options.voice, options.stage, recipe, groups, work)


if __name__ == "__main__":
    sys.exit(main())
