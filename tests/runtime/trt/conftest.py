"""A voice on the stand-in for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest
from standin.cudart import Cudart
from standin.gpu import Gpu
from standin.trt import Tensorrt
from standin.voice import make_plans

from edgevoice import bundle
from edgevoice.manifest import STAGES, StageName, Variant
from edgevoice.runtime import voice
from edgevoice.runtime.engines import cuda
from edgevoice.runtime.engines.cuda.python import CudaPython
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.tensorrt import context, library, prepare, timing
from edgevoice.runtime.engines.tensorrt import engine as engines
from edgevoice.runtime.engines.tensorrt.cache import Cache
from edgevoice.runtime.engines.tensorrt.record import Reading, Record
from edgevoice.runtime.synthesis import Stages

_device = prepare.device


@pytest.fixture(autouse=True)
def machine_looked_at_anew() -> Iterator[None]:
    """A process knows its machine for good; tests are on several."""
    _device.cache_clear()
    yield
    _device.cache_clear()


@pytest.fixture
def gpu() -> Gpu:
    return Gpu()


@pytest.fixture(params=["integrated", "card"])
def either_gpu(request: pytest.FixtureRequest) -> Gpu:
    return Gpu(integrated=request.param == "integrated")


@pytest.fixture
def on_gpu() -> Callable[..., Stages]:
    def load(gpu: Gpu, path: Path) -> Stages:
        trt = Tensorrt(gpu)
        loaded = engines.load(trt, CudaPython(Cudart(gpu)), make_plans(trt, path))
        return Stages(bundle.read(path).manifest, **loaded)

    return load


@pytest.fixture
def gpu_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """The tiny voice with one more file a stage, which says that it is FP16 for TensorRT."""
    made = bundle.read(tiny_bundle)
    stages, sources = dict(made.manifest.stages), {name: made.file(name) for name in made.manifest.files}
    for stage in STAGES:
        row = stages[stage]
        name = f"{stage}.fp16.onnx"
        sources[name] = made.file(row.chosen)
        variants = [*row.variants, Variant(name, "fp16", "tensorrt")]
        stages[stage] = msgspec.structs.replace(row, variants=variants)
    manifest = msgspec.structs.replace(made.manifest, stages=stages)
    return bundle.write(tmp_path / "voice", manifest, sources).path


def read_here(monkeypatch: pytest.MonkeyPatch, trt: Tensorrt, bound: CudaPython) -> None:
    """What engines take is read in this process: another has no part in its GPU. A context takes 7 bytes."""

    def read(made: bundle.Bundle, cache: Cache, files: Mapping[StageName, str]) -> Reading:
        found = context.read(made, cache, trt, bound, files)
        return msgspec.structs.replace(found, free=found.free - 7)

    monkeypatch.setattr(prepare, "in_reader", read)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gpu:
    """A machine with a card, on which engines are built in this process and are faster than the CPU."""
    gpu = Gpu(integrated=False)
    trt, bound = Tensorrt(gpu), CudaPython(Cudart(gpu))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(cuda, "probe", lambda: "")
    monkeypatch.setattr(cuda, "load", lambda: bound)
    monkeypatch.setattr(library, "load", lambda: trt)
    monkeypatch.setattr(timing, "median", lambda engine, _: float(isinstance(engine, OnnxEngine)))

    def build(made: Path, folder: Path) -> Record:
        return prepare.said(prepare.main([str(made), str(folder)], lambda: (trt, bound)))

    monkeypatch.setattr(prepare, "in_process", build)
    monkeypatch.setattr(voice, "share_pool", lambda _: None)  # other tests have pools of their own
    read_here(monkeypatch, trt, bound)
    return gpu
