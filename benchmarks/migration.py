"""python benchmarks/migration.py VOICE: does moving scales into weights bring layers back to INT8?

Channels of one input share one scale in INT8, so a quiet channel beside a loud one has few levels. Dividing
each channel by its own peak, and multiplying the weights by it, evens that out at the price of a product for
each value (SmoothQuant, Xiao et al. 2023, for convolutions; ``alpha``: how much of the unevenness goes into
the weights). Each layer alone, and all together, against FP32 on sentences that calibration did not see.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import provenance, report
from benchmarks.forms import started
from calibration import data, graph
from calibration.measures.spectral import mean_log_mel_l1
from calibration.quantize import measure_ranges, prepare, quantisable, quantize
from calibration.ranges import session
from compress import judge
from compress.distilled import Origin
from compress.measuring import Measuring
from compress.recipe import load
from compress.variants import WINDOW
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName
from edgevoice.progress import track
from edgevoice.runtime.engines.onnx import OnnxEngine

ALPHAS = (0.5, 0.8)
PLAIN, ALL = "plain", "all"
KINDS = ("Conv",)

Peaks = Mapping[str, npt.NDArray[np.float32]]
"""Of each layer's input, by the tensor's name: the largest magnitude of each channel."""


def peaks_of(model: onnx.ModelProto, windows: Sequence[Mapping[str, Any]]) -> Peaks:
    probe = onnx.ModelProto.FromString(model.SerializeToString())
    names = sorted({layer.input[0] for layer in quantisable(model, KINDS)})
    given = {node.name for node in probe.graph.input}
    probe.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in set(names) - given
    )
    ready, found = session(probe, plain=True), dict[str, npt.NDArray[np.float32]]()
    inside = [name for name in names if name not in given]
    for window in windows:
        values = dict(zip(inside, ready.run(inside, dict(window)), strict=True))
        for name in names:
            own = np.abs(values.get(name, window.get(name))).max(axis=(0, 2))
            found[name] = np.maximum(own, found.get(name, own))
    return found


def migrated(model: onnx.ModelProto, peaks: Peaks, alpha: float) -> onnx.ModelProto:
    """The same function, with a product before each convolution and other weights in it."""
    made = onnx.ModelProto.FromString(model.SerializeToString())
    weights, layers = graph.constants(made), {layer.name for layer in quantisable(made, KINDS)}
    nodes: list[onnx.NodeProto] = []
    for node in made.graph.node:
        if node.name in layers and not graph.attribute(node, "group", 1) > 1:
            weight, source = weights[node.input[1]], node.input[0]
            loud = np.maximum(np.abs(weight).max(axis=(0, 2)), 1e-5)
            scale = np.maximum(peaks[source], 1e-4) ** alpha / loud ** (1 - alpha)
            scale /= np.exp(np.log(scale).mean())
            names = [f"{node.name}_{what}" for what in ("migrated", "divided", "even")]
            for name, value in zip(names, (weight * scale[None, :, None], 1 / scale[:, None]), strict=False):
                made.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
            nodes.append(helper.make_node("Mul", [source, names[1]], [names[2]], f"{node.name}_divide"))
            node.input[0], node.input[1] = names[2], names[0]
        nodes.append(onnx.NodeProto.FromString(node.SerializeToString()))
    del made.graph.node[:]
    made.graph.node.extend(nodes)
    graph.drop_unused(made)
    return made


def compare(run: Measuring, stage: StageName, folder: Path) -> list[list[str]]:
    """Log-mel L1 of each layer alone in INT8 and of all, for each way, and how uneven the input is."""
    plain, material = run.draft.path(stage), run.material[stage]
    windows = [dict(window) for window in data.windows(list(material.feeds), WINDOW)]
    model = prepare(plain, "cpu")
    peaks, files = peaks_of(model, windows), {PLAIN: plain}
    for alpha in ALPHAS:
        files[f"alpha {alpha}"] = folder / f"alpha{alpha}.onnx"
        graph.save(migrated(model, peaks, alpha), files[f"alpha {alpha}"])
    ranges = {name: measure_ranges(path, windows, KINDS) for name, path in files.items()}
    layers = quantisable(model, KINDS)

    def lost(name: str, only: str) -> float:
        exclude = [] if only == ALL else [layer.name for layer in layers if layer.name != only]
        made, shared = folder / "trial.onnx", {"op_types": KINDS, "histograms": ranges[name], "check": False}
        quantize(files[name], made, exclude=exclude, **shared)  # type: ignore[arg-type]
        sounds = judge.heard(run.draft, material.searching, {stage: OnnxEngine(made, 1)})
        return mean_log_mel_l1(material.searching.sounds, sounds, run.draft.staged.sample_rate)

    rows = [["log-mel L1 to FP32, alone in INT8", *files, "loudest channel ÷ median"]]
    for layer in track(layers, "layers alone"):
        own = peaks[layer.input[0]]
        uneven = f"{own.max() / max(float(np.median(own)), 1e-9):.1f}"
        rows.append([layer.name, *(f"{lost(name, layer.name):.3f}" for name in files), uneven])
    return [*rows, [ALL, *(f"{lost(name, ALL):.3f}" for name in files), ""]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="migration.py", description="Scales moved into the weights.")
    parser.add_argument("voice", type=Path, help="the voice's file")
    parser.add_argument("--recipe", default="quantize")
    parser.add_argument("--stage", choices=("acoustic", "vocoder"), default="vocoder")
    options = parser.parse_args(arguments)
    try:
        facts = provenance.collect(1, options.voice if options.voice.is_file() else None, [])
        with tempfile.TemporaryDirectory() as scratch:
            run = started(options.voice, load(options.recipe), Origin(), Path(scratch))
            rows = compare(run, options.stage, Path(scratch))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join([*provenance.lines(facts), options.stage, "", report.text(rows)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
