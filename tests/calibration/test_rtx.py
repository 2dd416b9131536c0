"""The TensorRT forms parse and build with TensorRT for RTX for SM86; skipped where it is not installed.

That stands for "builds under TensorRT for RTX", not for "works on a Jetson".
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny_graphs as graphs

from calibration.quantize import quantize

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="TensorRT for RTX is missing: pip install tensorrt-rtx-cu12==1.7.1.116",
)
WINDOWS = [graphs.latents(seed=seed) for seed in range(8)]


def build(path: Path) -> dict[str, Any]:
    script = Path(__file__).with_name("rtx_build.py")
    done = subprocess.run(
        [sys.executable, script, path], capture_output=True, text=True, timeout=300, check=True
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize(("form", "rest"), [("tensorrt", "Float"), ("tensorrt-fp16", "Half")])
def test_quantised_vocoder_builds_with_its_layers_in_int8(tmp_path: Path, form: str, rest: str):
    path = graphs.vocoder(tmp_path / "vocoder.onnx")
    out = tmp_path / "int8.onnx"
    quantize(path, out, WINDOWS, form=form)
    built = build(out)
    assert built["plan"] > 0, built
    assert sum(count for layer, count in built["layers"].items() if layer.endswith("Int8")) == 3
    assert built["layers"].get(f"deconv {rest}") == 1


def test_the_form_for_onnx_runtime_is_refused_by_the_parser_too(tmp_path: Path):
    path = graphs.vocoder(tmp_path / "vocoder.onnx")
    out = tmp_path / "cpu.onnx"
    quantize(path, out, WINDOWS, form="cpu")
    assert "refused" in build(out)
