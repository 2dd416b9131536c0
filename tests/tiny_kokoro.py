"""A graph with the marks by which a Kokoro file is cut, small enough to read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, parser

CHANNELS, SYMBOLS, STYLE = 6, 80, 4
LETTERS = "abdefhijklmnprstuvwzgɡɹɾɑɔəɛɜɪʊʌʃʒθðŋæᵻʧʤAIWOYˈˌ ,.?!;:—"
VOCABULARY = {symbol: number for number, symbol in enumerate(LETTERS, start=1)}

TEXT = """
<ir_version: 9, opset_import: ["" : 17]>
tiny (int64[1,n] tokens, float[1,4] style, float[1] speed) => (float[samples] audio) {
  one = Constant<value: tensor = int64[1] {1}>()
  zero = Constant<value: tensor = int64[1] {0}>()
  two = Constant<value: tensor = int64[1] {2}>()
  last = Constant<value: tensor = int64[1] {-1}>()
  row = Constant<value: tensor = int64[2] {1, -1}>()
  twice = Constant<value: tensor = int64[3] {1, 1, 2}>()
  least = Constant<value: tensor = float {1.0}>()
  scale = Constant<value: tensor = float[3] {1.0, 1.0, 300.0}>()
  start = Constant<value: tensor = int64 {0}>()
  step = Constant<value: tensor = int64 {1}>()
  prosody = Gather(table, tokens)
  text = Transpose<perm = [0, 2, 1]>(prosody)
  size = Abs(prosody)
  long = ReduceSum<keepdims = 0>(size, last)
  lengths = Div(long, speed)
  rounded = Round(lengths)
  units = Max(rounded, least)
  whole = Cast<to = 7>(units)
  ends = CumSum(whole, last_axis)
  begins = Sub(ends, whole)
  total = ReduceMax<keepdims = 0>(ends)
  places = Range(start, total, step)
  begins3 = Unsqueeze(begins, two)
  ends3 = Unsqueeze(ends, two)
  early = Less(places, begins3)
  inside = Less(places, ends3)
  late = Not(early)
  both = And(inside, late)
  spread = Cast<to = 1>(both)
  prosody_t = Transpose<perm = [0, 2, 1]>(prosody)
  framed = MatMul(prosody_t, spread)
  asr = MatMul(text, spread)
  sums = ReduceSum<keepdims = 0>(framed, one)
  sums3 = Unsqueeze(sums, last)
  pairs = Tile(sums3, twice)
  f0 = Reshape(pairs, row)
  low = Neg(pairs)
  energy = Reshape(low, row)
  f0_row = Unsqueeze(f0, one)
  energy_row = Unsqueeze(energy, one)
  f0_half = Conv<strides = [2], kernel_shape = [1]>(f0_row, point)
  energy_half = Conv<strides = [2], kernel_shape = [1]>(energy_row, point)
  joined = Concat<axis = 1>(asr, f0_half, energy_half)
  doubled = ConvTranspose<group = 8, strides = [2], kernel_shape = [2]>(joined, pool)
  active = LeakyRelu(doubled)
  raised = ConvTranspose<strides = [300], kernel_shape = [300]>(active, up)
  source = Resize<mode = "nearest">(f0_row, , scale)
  sine = Sin(source)
  mixed = Add(raised, sine)
  louder = ReduceSum(style, one)
  voiced = Mul(mixed, louder)
  audio = Reshape(voiced, last)
}
"""


def tiny_kokoro() -> onnx.ModelProto:
    model = parser.parse_model(TEXT)
    rng = np.random.default_rng(0)
    tensors = {
        "table": rng.standard_normal((SYMBOLS, CHANNELS)) * 0.5,
        "point": np.ones((1, 1, 1)),
        "pool": rng.standard_normal((CHANNELS + 2, 1, 2)),
        "up": rng.standard_normal((CHANNELS + 2, 1, 300)) * 0.02,
    }
    for name, value in tensors.items():
        model.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), name))
    model.graph.initializer.append(numpy_helper.from_array(np.array(1, np.int64), "last_axis"))
    onnx.checker.check_model(model)
    return model


def voices() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {name: rng.random((40, 1, STYLE)).astype(np.float32) for name in ("jm_kumo", "ann", "bob")}


def folder_of_one(folder: Path) -> Path:
    """A user's own export, as `compress.teachers` reads it."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(tiny_kokoro().SerializeToString())
    (folder / "vocab.json").write_text(json.dumps({"vocab": VOCABULARY}))
    np.savez(folder / "voices.npz", **voices())  # type: ignore[arg-type]
    return folder
