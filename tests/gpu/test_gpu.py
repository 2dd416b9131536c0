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
from edgevoice.manifest import STAGES
from edgevoice.runtime.engines import cuda
from edgevoice.runtime.engines.select import Guarded
from edgevoice.runtime.engines.tensorrt import library, prepare, shapes
from edgevoice.runtime.engines.tensorrt.cache import Cache, machine
from edgevoice.runtime.engines.tensorrt.here import home

LACKING = cuda.probe() or ("" if importlib.util.find_spec("tensorrt") else "TensorRT is not installed")

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(bool(LACKING), reason=f"needs a GPU: {LACKING}")]

TEXT = "Good morning. This sentence is spoken twice, once by each engine."
LEAST_SNR_DB = 15.0
"""Of the whole voice against FP32 on the CPU: what FP16 keeps by far and INT8 vocoders just keep."""


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    given: Path | None = request.config.getoption("--gpu-bundle")
    return given or request.getfixturevalue("tiny_bundle")


@pytest.fixture(scope="module")
def voice(folder: Path) -> Voice:
    return Voice.load(folder, engine="tensorrt")


def spoken(voice: Voice) -> np.ndarray:
    return np.concatenate(list(voice.stream(TEXT)))


def test_the_sound_is_the_cpu_s(voice: Voice, folder: Path) -> None:
    ours, theirs = spoken(voice), spoken(Voice.load(folder, engine="onnxruntime"))
    assert abs(len(ours) - len(theirs)) <= 0.02 * len(theirs)
    if len(ours) == len(theirs):
        noise = np.mean(np.square(ours - theirs), dtype=np.float64)
        snr = 10 * np.log10(np.mean(np.square(theirs), dtype=np.float64) / max(noise, 1e-20))
        assert snr > LEAST_SNR_DB


def test_the_same_sentence_many_times_is_the_same_sound(voice: Voice) -> None:
    """TensorRT 10.3 was reported to fail at a shape's second request, with two engines in one process."""
    first = spoken(voice)
    for _ in range(20):
        np.testing.assert_allclose(spoken(voice), first, rtol=0, atol=1e-3)


def test_frequent_lengths_are_graphs(voice: Voice) -> None:
    engines = [getattr(voice.stages, stage) for stage in STAGES]
    by_tensorrt = [engine._engine if isinstance(engine, Guarded) else engine for engine in engines]
    graphs = [engine.graphs for engine in by_tensorrt if hasattr(engine, "graphs")]
    if cuda.load().name == "cuda-python" and len(graphs) == len(STAGES):
        lengths = shapes.of(voice.bundle.manifest)
        assert graphs == [len(lengths[stage].fixed) for stage in STAGES]


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


def test_the_record_has_what_was_read(voice: Voice, folder: Path) -> None:
    here = machine(library.load(), cuda.load().device())
    found = prepare.recorded(Cache(home(folder)), bundle.read(folder, verify=False), here)
    assert found is not None
    assert {row.reason != "" for row in found.stages.values()} == {True}
    if found.memory is not None:
        assert found.memory.taken > 0
