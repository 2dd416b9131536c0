"""INT8 files: in the form each engine needs, close to FP32, honest about what runs in INT8."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_graphs as graphs
from onnx import helper, numpy_helper

from calibration import census, ranges
from calibration.atomic import CannotWrite
from calibration.census import explicit_int8, integer_operators
from calibration.quantize import FORMS, measure_ranges, quantisable, quantize
from edgevoice.errors import EdgevoiceError

WINDOWS = [graphs.latents(seed=seed) for seed in range(8)]
ROWS = [{"rows": np.random.default_rng(s).normal(size=(1, 12, 16)).astype(np.float32)} for s in range(8)]


@pytest.fixture
def vocoder(tmp_path: Path) -> Path:
    return graphs.vocoder(tmp_path / "vocoder.onnx")


def run(path: Path, plain: bool = False) -> np.ndarray:
    window = graphs.latents(seed=99)
    return np.asarray(ranges.session(str(path), plain=plain).run(None, window)[0])


def snr(exact: np.ndarray, rough: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(exact**2) / np.sum((exact - rough) ** 2)))


@pytest.mark.parametrize("form", ["cpu", "tensorrt", "tensorrt-fp16"])
@pytest.mark.parametrize("method", ranges.METHODS)
def test_quantised_vocoder_is_close(vocoder: Path, form: str, method: str):
    out = vocoder.with_name("int8.onnx")
    report = quantize(vocoder, out, WINDOWS, form=form, method=method)
    assert len(report.quantised) == 3
    assert report.bytes == out.stat().st_size
    assert snr(run(vocoder), run(out)) > 18
    assert abs(snr(run(vocoder), run(out)) - snr(run(vocoder), run(out, plain=True))) < 6


def test_a_stack_of_matrices_is_left_in_floating_point():
    rows = helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, [2, "F", 16])
    out = helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)
    shapes = {"plain": (16, 16), "stack": (2, 16, 4)}
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()]
    nodes = [
        helper.make_node("MatMul", ["rows", "plain"], ["between"], name="plain"),
        helper.make_node("MatMul", ["between", "stack"], ["out"], name="stack"),
    ]
    model = helper.make_model(helper.make_graph(nodes, "products", [rows], [out], weights))
    assert [node.name for node in quantisable(model)] == ["plain"]


def test_cpu_form_runs_in_int8(vocoder: Path):
    out = vocoder.with_name("int8.onnx")
    report = quantize(vocoder, out, WINDOWS, form="cpu")
    assert report.operators["QLinearConv"] == 3
    assert integer_operators(out) == report.operators
    assert integer_operators(vocoder) == {}


@pytest.mark.parametrize("form", FORMS)
def test_versions_that_the_oldest_runtime_reads(tmp_path: Path, form: str):
    path = graphs.products(tmp_path / "products.onnx")
    quantize(path, tmp_path / "int8.onnx", ROWS, form=form)
    model = onnx.load(tmp_path / "int8.onnx")
    assert model.ir_version <= 10
    assert all(entry.version <= 19 for entry in model.opset_import if entry.domain == "")
    onnx.checker.check_model(model)


def test_a_full_disk_is_not_the_file_s_fault(vocoder: Path, monkeypatch: pytest.MonkeyPatch):
    usage = shutil.disk_usage(vocoder.parent)
    ranges_session = ranges.session

    def refuse(path: str, dump: str = "") -> None:
        ranges_session(path, dump=f"{dump}/not/a/folder.onnx")  # as ONNX Runtime fails where it cannot write

    monkeypatch.setattr(census, "session", refuse)
    with pytest.raises(EdgevoiceError, match="does not load") as raised:
        integer_operators(vocoder)
    assert not isinstance(raised.value, CannotWrite)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(CannotWrite, match="no room"):
        integer_operators(vocoder)
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    with pytest.raises(CannotWrite, match="temporary files"):
        integer_operators(vocoder)


def test_matrix_products_static_and_dynamic(tmp_path: Path):
    path = graphs.products(tmp_path / "products.onnx")
    exact = ranges.session(str(path)).run(None, ROWS[0])[0]
    static = quantize(path, tmp_path / "static.onnx", ROWS, form="cpu")
    dynamic = quantize(path, tmp_path / "dynamic.onnx", form="cpu-dynamic")
    assert sum(static.operators.values()) == 2
    assert sum(dynamic.operators.values()) == 2
    assert dynamic.method == "none"
    for name in ("static.onnx", "dynamic.onnx"):
        assert snr(exact, ranges.session(str(tmp_path / name)).run(None, ROWS[0])[0]) > 25


def test_tensorrt_form_is_symmetric_and_leaves_biases_and_outputs(vocoder: Path):
    out = vocoder.with_name("trt.onnx")
    quantize(vocoder, out, WINDOWS, form="tensorrt")
    model = onnx.load(out)
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert nodes
    assert all(values[node.input[2]].dtype == np.int8 and not values[node.input[2]].any() for node in nodes)
    assert len(explicit_int8(model)) == 3
    made = {name: node for node in model.graph.node for name in node.output}
    transposed = next(node for node in model.graph.node if node.op_type == "ConvTranspose")
    assert made[transposed.input[0]].op_type == "LeakyRelu"
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    assert conv.input[2] in values


def test_half_form_has_half_scales(vocoder: Path):
    out = vocoder.with_name("trt16.onnx")
    quantize(vocoder, out, WINDOWS, form="tensorrt-fp16")
    model = onnx.load(out)
    kinds = {tensor.data_type for tensor in model.graph.initializer}
    assert onnx.TensorProto.FLOAT not in kinds
    assert onnx.TensorProto.FLOAT16 in kinds
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_excluded_layers_stay_in_float(vocoder: Path):
    out = vocoder.with_name("int8.onnx")
    report = quantize(vocoder, out, WINDOWS, exclude={"/dec/post/Conv", "/dec/pre/Conv"})
    assert report.quantised == ("/dec/res/Conv",)
    assert report.left == ("/dec/pre/Conv", "/dec/post/Conv")
    assert report.operators == {"QLinearConv": 1}


def test_ranges_are_measured_once_for_every_form(vocoder: Path):
    histograms = measure_ranges(vocoder, WINDOWS)
    one, two = vocoder.with_name("one.onnx"), vocoder.with_name("two.onnx")
    quantize(vocoder, one, WINDOWS)
    quantize(vocoder, two, histograms=histograms)
    assert one.read_bytes() == two.read_bytes()


def test_a_quantised_output_that_is_the_graphs_output(tmp_path: Path):
    node = onnx.helper.make_node("Conv", ["x", "w"], ["y"], "conv")
    weight = np.random.default_rng(0).normal(size=(3, 2, 1)).astype(np.float32)
    path = graphs.save(tmp_path / "one.onnx", [node], {"w": weight}, {"x": [1, 2, "F"]}, {"y": [1, 3, "F"]})
    feeds = [{"x": np.random.default_rng(s).normal(size=(1, 2, 20)).astype(np.float32)} for s in range(8)]
    quantize(path, tmp_path / "int8.onnx", feeds)
    found = ranges.session(str(tmp_path / "int8.onnx")).run(["y"], feeds[0])[0]
    assert snr(ranges.session(str(path)).run(["y"], feeds[0])[0], found) > 30


def test_a_tiny_channel_with_a_large_bias_does_not_overflow(tmp_path: Path):
    node = onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"], "conv")
    weight = np.array([[[1e-9]], [[1.0]]], np.float32)
    bias = np.array([5.0, 0.5], np.float32)
    shapes = {"x": [1, 1, "F"]}, {"y": [1, 2, "F"]}
    path = graphs.save(tmp_path / "bias.onnx", [node], {"w": weight, "b": bias}, *shapes)
    feeds = [{"x": np.random.default_rng(s).normal(size=(1, 1, 20)).astype(np.float32)} for s in range(8)]
    quantize(path, tmp_path / "int8.onnx", feeds, method="minmax")
    found = ranges.session(str(tmp_path / "int8.onnx")).run(None, feeds[0])[0]
    assert np.abs(found[0, 0] - 5.0).max() < 0.1


@pytest.mark.parametrize("bias_rank", [1, 2])
def test_gemm_with_either_shape_of_bias(tmp_path: Path, bias_rank: int):
    path = graphs.gemm(tmp_path / "gemm.onnx", bias_rank=bias_rank)
    feeds = [{"x": np.random.default_rng(s).normal(size=(9, 4)).astype(np.float32)} for s in range(8)]
    for form in ("cpu", "tensorrt"):
        quantize(path, tmp_path / "int8.onnx", feeds, form=form, check=False)
        found = ranges.session(str(tmp_path / "int8.onnx")).run(None, feeds[0])[0]
        assert snr(ranges.session(str(path)).run(None, feeds[0])[0], found) > 25


def test_a_scaled_gemm_is_not_touched(tmp_path: Path):
    assert quantisable(onnx.load(graphs.gemm(tmp_path / "gemm.onnx", alpha=0.5))) == []
    assert len(quantisable(onnx.load(graphs.gemm(tmp_path / "gemm.onnx")))) == 1


def test_a_graph_that_is_too_new_is_refused(vocoder: Path):
    model = onnx.load(vocoder)
    model.opset_import[0].version = 23
    onnx.save(model, vocoder)
    with pytest.raises(EdgevoiceError, match="opset 19 or lower"):
        quantize(vocoder, vocoder.with_name("int8.onnx"), WINDOWS)


def test_reduced_range_keeps_pairs_of_products_within_16_bits(vocoder: Path):
    for reduce_range, largest in ((True, 63), (False, 127)):
        out = vocoder.with_name(f"{largest}.onnx")
        quantize(vocoder, out, WINDOWS, form="cpu", reduce_range=reduce_range)
        weights = [t for t in onnx.load(out).graph.initializer if t.name.endswith("weight_quantised")]
        assert max(int(np.abs(numpy_helper.to_array(t).astype(int)).max()) for t in weights) == largest


def test_constant_silent_broken_and_missing_data_is_refused(vocoder: Path):
    out = vocoder.with_name("int8.onnx")
    silence = [{"latents": np.zeros((1, graphs.CHANNELS, 64), np.float32)}] * 8
    last = graphs.latents(seed=7)
    last["latents"][0, 0, 5] = np.nan
    broken = [*WINDOWS[:7], last]
    narrow = [{"latents": np.zeros((1, 3, 64), np.float32)}] * 8
    for data, reason in (
        (silence, "never change"),
        (broken, "NaN"),
        (narrow, "does not fit"),
        ([], "no windows"),
    ):
        with pytest.raises(EdgevoiceError, match=reason):
            quantize(vocoder, out, data)
    assert list(vocoder.parent.iterdir()) == [vocoder]


def test_unknown_names_are_refused(vocoder: Path):
    out = vocoder.with_name("int8.onnx")
    for options, reason in (
        ({"form": "gpu"}, "unknown INT8 form 'gpu'"),
        ({"method": "magic"}, "unknown calibration method 'magic'"),
        ({"exclude": {"nothing"}}, "no quantisable layer 'nothing'"),
        ({"exclude": {node.name for node in quantisable(onnx.load(vocoder))}}, "nothing to quantise"),
        ({"form": "cpu-dynamic"}, "for matrix products"),
    ):
        with pytest.raises(EdgevoiceError, match=reason):
            quantize(vocoder, out, WINDOWS, **options)
    assert not out.exists()


def test_a_file_that_is_no_model_is_refused(tmp_path: Path):
    (tmp_path / "bad.onnx").write_bytes(b"no model at all")
    with pytest.raises(EdgevoiceError, match="cannot be read"):
        quantize(tmp_path / "bad.onnx", tmp_path / "out.onnx", WINDOWS)


def test_a_file_in_which_nothing_runs_in_int8_is_refused(vocoder: Path, monkeypatch: pytest.MonkeyPatch):
    """As when a runtime folds everything back to FP32."""
    out = vocoder.with_name("int8.onnx")
    monkeypatch.setattr("calibration.quantize.integer_operators", lambda path: {"QLinearAdd": 3})
    with pytest.raises(EdgevoiceError, match=r"nothing .* would run in INT8"):
        quantize(vocoder, out, WINDOWS)
    assert list(vocoder.parent.iterdir()) == [vocoder]


def histogram(values: np.ndarray) -> ranges.Histogram:
    low, high = float(values.min()), float(values.max())
    return ranges.Histogram(low, high, np.histogram(values, ranges.BINS, (low, high))[0])


def test_ranges_of_each_method():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 100000), [40.0]])
    found = histogram(values)
    assert ranges.bounds(found, "minmax", False) == (values.min(), 40.0)
    assert ranges.bounds(found, "minmax", True) == (-40.0, 40.0)
    low, high = ranges.bounds(found, "percentile", False)
    assert (low, high) == pytest.approx(tuple(np.percentile(values, [0.05, 99.95])), abs=0.05)
    for method in ("entropy", "mse"):
        low, high = ranges.bounds(found, method, True)
        assert low == -high
        assert 2.0 < high < 36.0


def test_a_range_always_holds_zero():
    found = histogram(np.random.default_rng(0).uniform(2, 3, 1000))
    for method in ranges.METHODS:
        low, high = ranges.bounds(found, method, False)
        assert low <= 0.0 < high


def test_mse_range_loses_least():
    values = np.random.default_rng(0).standard_t(3, 100000)
    found = histogram(values)

    def error(bound: float) -> float:
        step = bound / 127.0
        return float(np.mean((values - np.round(np.clip(values, -bound, bound) / step) * step) ** 2))

    best = ranges.bounds(found, "mse", True)[1]
    for method in ("minmax", "percentile", "entropy"):
        assert error(best) <= 1.02 * error(ranges.bounds(found, method, True)[1])


def test_histograms_do_not_depend_on_window_lengths(vocoder: Path):
    """The encoder's sentences differ in length."""
    mixed = [graphs.latents(frames=16 + 4 * seed, seed=seed) for seed in range(8)]
    found = measure_ranges(vocoder, mixed)
    assert found["latents"].low == min(float(window["latents"].min()) for window in mixed)
    assert found["latents"].counts.sum() == sum(window["latents"].size for window in mixed)
