"""Bundles as plans of the stand-in, and sound to compare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevoice import bundle
from edgevoice.manifest import STAGES, Chunks, Manifest
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.tensorrt import engine as engines
from edgevoice.runtime.engines.tensorrt import shapes
from edgevoice.runtime.engines.tensorrt.build import Order, build
from edgevoice.runtime.synthesis import Stages

Float = npt.NDArray[np.float32]


def make_plans(trt: Any, path: Path) -> dict[str, engines.Plan]:
    """The FP32 files of the bundle in folder ``path``, built."""
    manifest = bundle.read(path).manifest
    lengths = shapes.of(manifest)
    plans = {}
    for stage in STAGES:
        order = Order(path / manifest.stages[stage].chosen, lengths[stage].profiles, 64 << 20)
        plans[stage] = engines.Plan(build(trt, order).plan, lengths[stage])
    return plans


def on_cpu(path: Path) -> Stages:
    manifest = bundle.read(path).manifest
    return Stages(manifest, **{s: OnnxEngine(path / manifest.stages[s].chosen, 1) for s in STAGES})


def speak(stages: Stages, ids: int, seed: int = 0, chunks: Chunks | None = None) -> Float:
    rng = np.random.default_rng(seed)
    symbols = rng.integers(1, 8, ids)
    parts = list(stages.speak(symbols.astype(np.int64), rng, _conditions(stages.manifest), chunks=chunks))
    return np.concatenate(parts)


def _conditions(manifest: Manifest) -> dict[str, Float]:
    return {} if manifest.voice.speakers is None else {"speaker": np.full((1, 8), 0.25, np.float32)}
