"""What only a GPU can show. `make test-gpu BUNDLE=...` on a Jetson or a card; elsewhere all is skipped.

Nothing here has been run by us on a GPU yet.
"""

from __future__ import annotations

import gc
import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgevoice import Voice, bundle
from edgevoice.manifest import STAGES, StageName
from edgevoice.runtime.engines import cuda
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.select import Guarded
from edgevoice.runtime.engines.tensorrt import library, prepare, shapes
from edgevoice.runtime.engines.tensorrt.cache import Cache, machine
from edgevoice.runtime.engines.tensorrt.engine import TensorRtEngine
from edgevoice.runtime.engines.tensorrt.here import home
from edgevoice.runtime.engines.tensorrt.record import Record
from edgevoice.runtime.windows import heard

LACKING = cuda.probe() or ("" if importlib.util.find_spec("tensorrt") else "TensorRT is not installed")

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(LACKING), reason=f"needs a GPU: {LACKING}")]

TEXT = "Good morning. This sentence is spoken twice, once by each engine."
LEAST_SNR_DB = 15.0
"""Of a stage against ONNX Runtime with the same file and window: FP16 is far above, INT8 rounds elsewhere."""


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    given: Path | None = request.config.getoption("--gpu-bundle")
    return given or request.getfixturevalue("tiny_bundle")


@pytest.fixture(scope="module")
def voice(folder: Path) -> Voice:
    return Voice.load(folder, engine="tensorrt")


def spoken(voice: Voice) -> np.ndarray:
    return np.concatenate(list(voice.stream(TEXT)))


@pytest.fixture(scope="module")
def by_tensorrt(voice: Voice) -> dict[StageName, TensorRtEngine]:
    engines = {stage: getattr(voice.stages, stage) for stage in STAGES}
    bare = {s: engine._engine if isinstance(engine, Guarded) else engine for s, engine in engines.items()}
    return {stage: engine for stage, engine in bare.items() if isinstance(engine, TensorRtEngine)}


@pytest.fixture(scope="module")
def found(voice: Voice, folder: Path) -> Record:
    here = machine(library.load(), cuda.load().device())
    record = prepare.recorded(Cache(home(folder)), bundle.read(folder, verify=False), here)
    assert record is not None
    return record


def snr_db(ours: np.ndarray, theirs: np.ndarray) -> float:
    noise = np.mean(np.square(ours - theirs), dtype=np.float64)
    return float(10 * np.log10(np.mean(np.square(theirs), dtype=np.float64) / max(noise, 1e-20)))


def test_each_stage_gives_what_onnx_runtime_gives_with_its_file(
    by_tensorrt: dict[StageName, TensorRtEngine], found: Record, folder: Path
) -> None:
    """Sounds cannot be compared: half-precision durations make sentences of other lengths."""
    assert set(by_tensorrt) == set(found.engines) != set()
    _, windows = heard(bundle.read(folder, verify=False))
    for stage, engine in by_tensorrt.items():
        on_cpu = OnnxEngine(folder / found.engines[stage], 1)
        for feeds in windows[stage]:
            for ours, theirs in zip(engine.run(feeds), on_cpu.run(feeds), strict=True):
                assert ours.shape == theirs.shape
                assert snr_db(ours, theirs) > LEAST_SNR_DB, stage


def test_a_sentence_is_as_long_as_on_the_cpu(voice: Voice, folder: Path) -> None:
    ours, theirs = spoken(voice), spoken(Voice.load(folder, engine="onnxruntime"))
    assert abs(len(ours) - len(theirs)) <= 0.02 * len(theirs)


def test_the_same_sentence_many_times_is_the_same_sound(voice: Voice) -> None:
    """TensorRT 10.3 was reported to fail at a shape's second request, with two engines in one process."""
    first = spoken(voice)
    for _ in range(20):
        np.testing.assert_allclose(spoken(voice), first, rtol=0, atol=1e-3)


def test_frequent_lengths_are_graphs(voice: Voice, by_tensorrt: dict[StageName, TensorRtEngine]) -> None:
    if cuda.load().name != "cuda-python":
        pytest.skip("PyCUDA has no graphs")
    lengths = shapes.of(voice.bundle.manifest)
    assert by_tensorrt
    for stage, engine in by_tensorrt.items():
        assert engine.graphs == len(lengths[stage].fixed), stage


def test_a_second_load_builds_nothing(voice: Voice, folder: Path) -> None:
    engines = home(folder)
    before = {path.name: path.stat().st_mtime_ns for path in engines.glob("*.plan")}
    Voice.load(folder, engine="tensorrt")
    assert {path.name: path.stat().st_mtime_ns for path in engines.glob("*.plan")} == before


def test_memory_comes_back(folder: Path) -> None:
    device = cuda.load()
    Voice.load(folder, engine="tensorrt")
    gc.collect()
    before = device.memory()[0]
    for _ in range(3):
        Voice.load(folder, engine="tensorrt")
        gc.collect()
    assert before - device.memory()[0] < 64 << 20


def test_the_record_has_what_was_read(found: Record) -> None:
    for stage, row in found.stages.items():
        assert "the fastest here" in row.reason, stage
        assert {candidate.engine for candidate in row.candidates} == {"tensorrt", "onnxruntime"}, stage
        assert all(candidate.milliseconds or candidate.fault for candidate in row.candidates), stage
    assert found.memory is not None
    assert 0 < found.memory.arena <= found.memory.taken
    assert found.memory.context is not None
    assert found.memory.context > 0
