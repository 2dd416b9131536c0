"""python benchmarks/forms.py VOICE: what each way of making a stage's matrix products small gains and loses.

The same layers of one stage by static Q/DQ in both of our forms, by each way to find ranges, by ONNX
Runtime's dynamic quantisation, and with 16-bit activations, all run by ONNX Runtime on one CPU thread. Each
is held against FP32 at the same durations and noise, on sentences that calibration did not see.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import provenance, report
from calibration import data, graph
from calibration.census import HEAVY, integer_operators
from calibration.measures.compare import DIFFERENCES, available, require
from calibration.quantize import measure_ranges, prepare, quantisable, quantize, without_range
from compress import corpus, judge, teachers
from compress.describe import made_by
from compress.distilled import Origin, student_of
from compress.draft import Feeds, speak
from compress.draft import prepare as drafted
from compress.measuring import Measuring
from compress.recipe import Recipe, load
from compress.variants import WINDOW
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, StageName
from edgevoice.runtime.engines.onnx import OnnxEngine
from targets import load as load_target

SEED = 2
COUNT = 20
PRODUCTS = ("MatMul", "Gemm")
SHIPPED = "static, percentile"
SHOWN = ("log_mel_l1", "dnsmos_overall", "dnsmos_p808", "speaker_cosine")
MEASURES = ("spectral", "dnsmos", "speaker")

Make = Callable[[Path], object]


def forms(plain: Path, windows: Sequence[Feeds]) -> dict[str, Make]:
    """How each file is made of FP32's; the same layers in all, those that calibration has ranges for."""
    ranges = measure_ranges(plain, windows, PRODUCTS)
    layers = {node.name for node in quantisable(prepare(plain, "cpu"), PRODUCTS)}
    dead = without_range(plain, ranges) & layers

    def ours(form: str = "cpu", method: str = "percentile", reduce_range: bool = True) -> Make:
        def make(path: Path) -> object:
            shared = {"op_types": PRODUCTS, "exclude": dead, "histograms": ranges}
            return quantize(plain, path, form=form, method=method, reduce_range=reduce_range, **shared)  # type: ignore[arg-type]

        return make

    return {
        SHIPPED: ours(),
        "static, min-max": ours(method="minmax"),
        "static, entropy": ours(method="entropy"),
        "static, MSE": ours(method="mse"),
        "static, 8-bit weights": ours(reduce_range=False),
        "static, signed (TensorRT's form)": ours("tensorrt"),
        "dynamic": ours("cpu-dynamic"),
        "static, 16-bit activations": lambda path: sixteen(plain, path, windows, layers - dead),
    }


def sixteen(plain: Path, path: Path, windows: Sequence[Feeds], layers: Collection[str]) -> None:
    """ONNX Runtime's own quantiser: its 16-bit Q/DQ are operators that no other engine knows."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left: Iterator[Feeds] = iter(windows)

        def get_next(self) -> dict[str, Any] | None:
            found = next(self._left, None)
            return None if found is None else dict(found)

    tidy = path.with_suffix(".tidy.onnx")
    graph.save(prepare(plain, "cpu"), tidy)
    logging.disable(logging.WARNING)  # it advises a preparation that ours has done
    quantize_static(
        str(tidy),
        str(path),
        Reader(),
        per_channel=True,
        activation_type=QuantType.QUInt16,
        weight_type=QuantType.QInt8,
        nodes_to_quantize=sorted(layers),
        op_types_to_quantize=list(PRODUCTS),
        extra_options={"UseQDQContribOps": True, "WeightSymmetric": True, "MatMulConstBOnly": True},
    )
    logging.disable(logging.NOTSET)


def compare(run: Measuring, stage: StageName, groups: Sequence[str], folder: Path) -> dict[str, Any]:
    """Of each form: figures against FP32, CPU time and size as a share of FP32's, operators in integers."""
    plain, given = run.draft.path(stage), run.material[stage].feeds
    if not quantisable(prepare(plain, "cpu"), PRODUCTS):
        raise EdgevoiceError(f"the {stage} of this voice has no matrix products: name another --stage")
    whole = stage == "encoder"
    windows = [dict(one) for one in (data.whole(list(given)) if whole else data.windows(given, WINDOW))]
    files: dict[str, Path] = {}
    for number, (name, make) in enumerate(forms(plain, windows).items()):
        files[name] = folder / f"form{number}.onnx"
        make(files[name])
    heard = {
        name: judge.quality(run.draft, run.spoken, {stage: OnnxEngine(path, 1)}, groups).figures
        for name, path in files.items()
    }
    audio = [len(sound) / run.draft.staged.sample_rate for sound in run.spoken.sounds]
    times = judge.milliseconds([plain, *files.values()], run.spoken.feeds[stage], audio)
    return {
        name: {
            "figures": {figure: found.json() for figure, found in heard[name].items()},
            "faster": times[0] / spent,
            "size": path.stat().st_size / plain.stat().st_size,
            "integer": sum(n for kind, n in integer_operators(path).items() if kind in HEAVY),
        }
        for (name, path), spent in zip(files.items(), times[1:], strict=True)
    }


def table(found: Mapping[str, Any]) -> list[list[str]]:
    shown = [name for name in SHOWN if name in found[SHIPPED]["figures"]]
    titles = [f"{name}{' (change)' if name in DIFFERENCES else ''}" for name in shown]
    rows = [["against FP32", *titles, "times as fast", "of its size", "products in integers"]]
    for form, one in found.items():
        figures = [_cell(one["figures"][name]) for name in shown]
        rows.append([form, *figures, f"{one['faster']:.2f}", f"{one['size']:.2f}", str(one["integer"])])
    return rows


def _cell(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:.3f} ({figure['low']:.3f} to {figure['high']:.3f})"


def _found(options: argparse.Namespace) -> dict[str, Any]:
    if options.sentences < 1:
        raise EdgevoiceError(f"--sentences {options.sentences}: at least 1")
    recipe, origin = load(options.recipe), Origin(weights=options.weights)
    groups = options.measures.split(",") if options.measures else [g for g in MEASURES if g in available()]
    require(groups)
    recipe = msgspec.structs.replace(
        recipe, judge=msgspec.structs.replace(recipe.judge, sentences=options.sentences)
    )
    with tempfile.TemporaryDirectory() as scratch:
        run = started(options.voice, recipe, origin, Path(scratch))
        return compare(run, options.stage, groups, Path(scratch))


def started(voice: Path, recipe: Recipe, origin: Origin, scratch: Path) -> Measuring:
    """What `edgevoice compress` would make smaller files with, its FP32 stages spoken; refuses bad input."""
    origin.check(recipe)
    if recipe.quantize is None:
        raise EdgevoiceError(f"recipe {recipe.name} makes no INT8: name another")
    work = Workspace(scratch / "work", made_by())
    draft = drafted(teachers.read(voice), recipe, work.inner("teacher"))
    chosen = corpus.choose(draft, recipe, None)
    if recipe.distil is not None:
        home = scratch / "training"
        draft = drafted(student_of(draft.staged, recipe, origin, home, chosen, lambda _: None), recipe, work)
    spoken = speak(draft, chosen.judging, SEED)
    return Measuring(draft, recipe, load_target("cpu"), chosen, spoken, work)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="forms.py", description="Ways to make matrix products small.")
    parser.add_argument("voice", type=Path, help="the voice's file, or kokoro")
    parser.add_argument("--recipe", default="quantize")
    parser.add_argument("--weights", type=Path, metavar="DIR", help="a student's, where the recipe makes one")
    parser.add_argument("--stage", choices=STAGES, default="vocoder")
    parser.add_argument("--sentences", type=int, default=COUNT)
    parser.add_argument("--measures", help=f"default: what is here of {','.join(MEASURES)}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args(arguments)
    try:
        report.check(options.json)
        facts = provenance.collect(1, options.voice if options.voice.is_file() else None, [])
        found = _found(options)
        if options.json:
            report.write(options.json, json.dumps({"provenance": facts, "forms": found}, indent=1))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join([*provenance.lines(facts), f"{options.stage}, {options.sentences} sentences", ""]))
    print((report.markdown if options.markdown else report.text)(table(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
