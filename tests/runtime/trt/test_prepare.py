"""What is measured on a device and chosen, in this process, on the stand-in."""

from __future__ import annotations

import gc
import re
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from runtime.trt.conftest import read_here
from standin.cudart import Cudart
from standin.gpu import Gpu
from standin.trt import Builder, Tensorrt
from standin.voice import Float, speak

from edgevoice import budget, bundle
from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, Variant
from edgevoice.runtime.engines import Array, Engine, select
from edgevoice.runtime.engines.cuda import CudaError
from edgevoice.runtime.engines.cuda.python import CudaPython
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.select import Guarded, Selected, Spare
from edgevoice.runtime.engines.tensorrt import here, prepare, record, timing
from edgevoice.runtime.engines.tensorrt.cache import Cache, machine
from edgevoice.runtime.engines.tensorrt.record import Candidate, Reading
from edgevoice.runtime.synthesis import Stages
from targets import load
from targets.child import Failed


class Device:
    """A bundle on the stand-in, with all that `prepare` takes."""

    def __init__(self, path: Path, folder: Path, gpu: Gpu) -> None:
        self.made: Bundle = bundle.read(path)
        self.gpu, self.trt = gpu, Tensorrt(gpu)
        self.cuda, self.cache = CudaPython(Cudart(gpu)), Cache(folder)
        self.on_cpu = {s: OnnxEngine(self.made.file(self.made.variant(s).file), 1) for s in STAGES}
        self.windows = windows(self.made, self.on_cpu)

    def prepare(self) -> record.Record:
        return prepare.prepare(self.made, self.cache, self.trt, self.cuda, self.windows, self.on_cpu)

    def load(self, found: record.Record) -> dict[str, Any]:
        here = machine(self.trt, self.cuda.device())
        return prepare.load_chosen(self.made, found.engines, self.trt, self.cuda, self.cache, here)


def windows(made: Bundle, on_cpu: Mapping[Any, Engine]) -> dict[Any, Mapping[str, Array]]:
    feeds: dict[str, Mapping[str, Array]] = {}

    class Spy:
        def __init__(self, stage: str) -> None:
            self.stage, self.inputs = stage, on_cpu[stage].inputs

        def run(self, given: Mapping[str, Array]) -> list[Float]:
            feeds[self.stage] = {name: np.array(value) for name, value in given.items()}
            return on_cpu[self.stage].run(given)

    speak(Stages(made.manifest, **{stage: Spy(stage) for stage in STAGES}), 8)
    return feeds


@pytest.fixture
def device(tiny_bundle: Path, tmp_path: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device(tiny_bundle, tmp_path / "engines", gpu)
    read_here(monkeypatch, device.trt, device.cuda)
    return device


def fast_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever this machine does, the stand-in takes 1 ms and the CPU 10."""

    def median(engine: Engine, feeds: timing.Feeds) -> float:
        return 10.0 if isinstance(engine, OnnxEngine) else 1.0

    monkeypatch.setattr(timing, "median", median)


def test_the_fastest_is_chosen_recorded_and_loaded(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_gpu(monkeypatch)
    found = device.prepare()
    assert [found.stages[stage].engine for stage in STAGES] == ["tensorrt"] * 3
    assert "1.00 ms" in found.stages["vocoder"].reason
    assert "FP32 by ONNX Runtime on the CPU 10.00 ms" in found.stages["vocoder"].reason
    assert (
        record.words(found) == "encoder FP32 by TensorRT, acoustic FP32 by TensorRT, vocoder FP32 by TensorRT"
    )
    here = machine(device.trt, device.cuda.device())
    assert prepare.recorded(device.cache, device.made, here) == found
    assert found.memory is not None
    assert found.memory.arena > 0
    loaded = device.load(found)
    assert device.trt.builds == 3  # the engines came from the cache
    sound = speak(Stages(device.made.manifest, **loaded), 8)
    np.testing.assert_allclose(sound, speak(Stages(device.made.manifest, **device.on_cpu), 8), atol=1e-6)


def test_a_stage_that_is_slower_on_the_gpu_stays_on_the_cpu(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        timing, "median", lambda engine, feeds: 1.0 if isinstance(engine, OnnxEngine) else 2.0
    )
    found = device.prepare()
    assert {row.engine for row in found.stages.values()} == {"onnxruntime"}
    assert not any(row.fallback for row in found.stages.values())  # it was a choice
    assert device.load(found) == {}


def test_another_machine_has_another_record(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_gpu(monkeypatch)
    device.prepare()
    here = machine(device.trt, device.cuda.device())
    found = prepare.recorded(device.cache, device.made, here)
    assert found is not None
    assert prepare.recorded(device.cache, device.made, replace(here, tensorrt="tensorrt 10.16.1")) is None
    assert prepare.recorded(device.cache, replace(device.made, id="f" * 64), here) is None
    monkeypatch.setattr(prepare, "WORKSPACE_BYTES", 1 << 20)  # engines would be built in another way
    assert prepare.recorded(device.cache, device.made, here) is None
    monkeypatch.undo()
    for path in device.cache.folder.glob("*.json"):
        whole = path.read_bytes()
        path.write_bytes(whole[:50])
        assert prepare.recorded(device.cache, device.made, here) is None
        path.write_bytes(whole)
    assert prepare.recorded(device.cache, device.made, here) == found
    next(device.cache.folder.glob("vocoder.*.plan")).unlink()
    assert prepare.recorded(device.cache, device.made, here) is None


@pytest.mark.parametrize("fault", ["build", "run", "memory"])
def test_a_stage_that_fails_on_the_gpu_is_recorded_with_its_reason(device: Device, fault: str) -> None:
    if fault == "build":
        device.trt.build_fault = "no tactic"
    elif fault == "run":
        device.trt.run_fault = "Myelin fell over"
    else:
        device.gpu.total = 1000
    found = device.prepare()
    words = {"build": "no tactic", "run": "Myelin fell over", "memory": "MemoryAllocation"}[fault]
    assert found.faulty
    for row in found.stages.values():
        assert (row.engine, words in row.fallback) == ("onnxruntime", True)
    gc.collect()
    assert device.gpu.held == 0


def test_a_device_that_is_lost_ends_it(device: Device) -> None:
    device.gpu.lost = True
    with pytest.raises(CudaError):
        device.prepare()
    assert not list(device.cache.folder.glob("*.json"))


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (np.array([1.0, np.nan], np.float32), "no|none"),
        (np.array([1.0, 2.0, 3.0], np.float32), "shape"),
        (np.array([-1.0, -2.0], np.float32), "little to do"),
        (np.array([1.02, 1.98], np.float32), "^$"),
    ],
)
def test_an_engine_that_says_something_else_is_found_out(output: Float, reason: str) -> None:
    found = timing.differs([output], [np.array([1.0, 2.0], np.float32)])
    assert re.search(reason, found)


def test_what_does_not_fit_is_refused_before_anything_is_built(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(load("orin_nano_4gb"), budget_bytes=1 << 20)
    monkeypatch.setattr(prepare, "device", lambda: small)
    with pytest.raises(EdgevoiceError, match="does not fit this device"):
        device.prepare()
    assert device.trt.builds == 0


def test_what_was_read_replaces_the_plan(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_gpu(monkeypatch)
    found = device.prepare()
    assert found.memory is not None
    taken = found.memory
    target = load("orin_nano_8gb")
    read = budget.measured(device.made.manifest, target, found.engines, 300 << 20, taken.arena, taken.block)
    assert read.total_bytes == 300 << 20
    assert {row.mark for row in read.rows} == {"reading"}
    assert read.row("arena").bytes == taken.arena
    assert read.row("buffers").bytes == taken.block
    assert taken.context == 7
    files = found.engines
    beside = budget.measured(device.made.manifest, target, files, 300 << 20, taken.arena, taken.block, 7)
    assert beside.total_bytes == (300 << 20) + 7
    unknown = budget.measured(
        device.made.manifest, target, found.engines, 300 << 20, taken.arena, taken.block, None
    )
    assert unknown.row("runtime").mark == "estimate"
    monkeypatch.setattr(prepare, "device", lambda: replace(target, budget_bytes=2 << 20))
    too_much = msgspec.structs.replace(found, memory=msgspec.structs.replace(taken, taken=300 << 20))
    with pytest.raises(EdgevoiceError, match=r"the engines do not fit this device: .*runtime"):
        prepare.check_taken(device.made, too_much)


def test_a_stage_without_a_file_for_tensorrt_runs_by_onnx_runtime(
    gpu_bundle: Path, tmp_path: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bundle.read(gpu_bundle)
    encoder = made.manifest.stages["encoder"]
    only = [msgspec.structs.replace(encoder.speaks, engine="onnxruntime")]
    stages = {**made.manifest.stages, "encoder": msgspec.structs.replace(encoder, variants=only)}
    manifest = msgspec.structs.replace(made.manifest, stages=stages)
    path = bundle.write(tmp_path / "mixed", manifest, {name: made.file(name) for name in made.manifest.files})
    fast_gpu(monkeypatch)
    monkeypatch.setattr(prepare, "device", lambda: load("orin_nano_8gb"))
    device = Device(path.path, tmp_path / "engines", gpu)
    read_here(monkeypatch, device.trt, device.cuda)
    found = device.prepare()
    assert [found.stages[stage].engine for stage in STAGES] == ["onnxruntime", "tensorrt", "tensorrt"]
    assert found.lacking == ["encoder: TensorRT reads none of its files"]
    assert not found.faulty
    assert sorted(device.load(found)) == ["acoustic", "vocoder"]
    with pytest.raises(EdgevoiceError, match="no file of the stage encoder that TensorRT reads"):
        here.find(device.made, "tensorrt")


def test_what_a_builder_leaves_is_not_the_engines(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_gpu(monkeypatch)
    build = Builder.build_serialized_network

    def leaving(self: Builder, network: Any, config: Any) -> Any:
        device.gpu.allocate(20 << 20, on_device=True)
        return build(self, network, config)

    monkeypatch.setattr(Builder, "build_serialized_network", leaving)
    memory = device.prepare().memory
    assert memory is not None
    assert memory.arena <= memory.taken < 10 << 20
    assert memory.context == 7


def test_what_could_not_be_read_is_unknown(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    fast_gpu(monkeypatch)

    def fail(*_: object) -> Reading:
        raise Failed("no device")

    monkeypatch.setattr(prepare, "in_reader", fail)
    found = device.prepare()
    assert (found.memory, len(found.engines)) == (None, 3)


def test_files_that_are_built() -> None:
    class Stage:
        def __init__(self, *variants: Variant) -> None:
            self.variants = variants

    def files(*variants: Variant) -> list[str]:
        manifest: Any = type("M", (), {"stages": {"vocoder": Stage(*variants)}})
        return [variant.file for variant in prepare.readable(manifest, "vocoder")]

    plain, half = Variant("a", "fp32"), Variant("b", "fp16", "tensorrt")
    eight, cpu = Variant("c", "int8", "tensorrt"), Variant("d", "int8", "onnxruntime")
    assert files(plain, half, eight, cpu) == ["b", "c"]
    assert files(plain, cpu) == ["a"]
    assert files(cpu) == []


def test_the_choice_names_the_others() -> None:
    rows = [
        Candidate("tensorrt", "fp16", "a", 2.0),
        Candidate("tensorrt", "int8", "b", None, "no tactic"),
        Candidate("onnxruntime", "fp32", "c", 9.0),
    ]
    made = record.choose(rows, 64)
    assert (made.file, made.fallback) == ("a", "")
    assert made.reason == (
        "FP16 by TensorRT 2.00 ms for 64 steps, the fastest here; "
        "INT8 by TensorRT cannot be used: no tactic; FP32 by ONNX Runtime on the CPU 9.00 ms"
    )
    assert record.choose(rows[1:], 64).fallback == "INT8 by TensorRT cannot be used: no tactic"


def test_a_gpu_that_fails_in_the_middle_hands_over_to_the_cpu(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_gpu(monkeypatch)
    loaded = device.load(device.prepare())
    selected = Selected(loaded, "by TensorRT", on_gpu=True)
    spare = Spare(device.made, 1, selected)

    class Failing(Guarded):
        runs = 0

        def run(self, feeds: Mapping[str, Array]) -> list[Float]:
            Failing.runs += 1
            device.gpu.lost = Failing.runs > 4
            return super().run(feeds)

    stages = Stages(device.made.manifest, **{s: Failing(s, engine, spare) for s, engine in loaded.items()})
    sound = speak(stages, 40)
    np.testing.assert_allclose(sound, speak(Stages(device.made.manifest, **device.on_cpu), 40), atol=1e-6)
    (news,) = selected.news
    assert "the GPU failed" in news
    assert "goes on on the CPU until its process begins anew" in news
    assert "by ONNX Runtime on the CPU" in selected.words
    assert "the GPU failed" in selected.remark
    assert selected.lost


def test_threads_that_meet_a_lost_gpu_load_the_spare_once(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []

    def slow(made: Bundle, threads: int) -> dict[str, Engine]:
        loads.append(threads)
        time.sleep(0.2)
        return dict(device.on_cpu)

    monkeypatch.setattr(select, "_on_cpu", slow)
    spare = Spare(device.made, 1, Selected({}, ""))
    threads = [threading.Thread(target=spare.take, args=(CudaError("lost", lost=True),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


def child(script: str) -> tuple[str, ...]:
    return (sys.executable, "-c", script)


@pytest.mark.parametrize(
    ("script", "reason", "passing"),
    [
        ("print('chatter'); print('{\"error\": \"no GPU\"}')", "^no GPU$", False),
        ('print(\'{"error": "no room", "passing": true}\')', "^no room$", True),
        ("import os; os.kill(os.getpid(), 9)", "ended with status -9", True),  # as for want of memory
        ("import os; os.kill(os.getpid(), 11)", "ended with status -11", False),
        ("raise SystemExit('Myelin')", "ended with status 1: Myelin", False),
        ("print('nothing')", "ended with status 0", False),
    ],
)
def test_a_builder_that_dies_is_one_line(tmp_path: Path, script: str, reason: str, passing: bool) -> None:
    with pytest.raises(EdgevoiceError, match=reason) as caught:
        prepare.in_process(tmp_path, tmp_path, child(script))
    assert caught.value.passing == passing


def test_a_builder_that_went_well_answers_with_the_record(tmp_path: Path) -> None:
    record = '{"bundle": "a", "machine": {}, "stages": {}}'
    found = prepare.in_process(tmp_path, tmp_path, child(f'print(\'{{"error": "", "record": {record}}}\')'))
    assert found.bundle == "a"
    with pytest.raises(EdgevoiceError, match="answered no record"):
        prepare.in_process(tmp_path, tmp_path, child('print(\'{"error": ""}\')'))


def test_the_record_s_form_is_strict() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"bundle": "a", "machine": {}, "stages": {}, "more": 1}', type=record.Record)
