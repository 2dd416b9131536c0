"""A voice on the stand-in for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from standin.cudart import Cudart
from standin.gpu import Gpu
from standin.trt import Tensorrt
from standin.voice import make_plans

from edgevoice import bundle
from edgevoice.runtime.engines.cuda.python import CudaPython
from edgevoice.runtime.engines.tensorrt import engine as engines
from edgevoice.runtime.synthesis import Stages


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
