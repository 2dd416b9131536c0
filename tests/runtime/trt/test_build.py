"""The builder against a real TensorRT that builds without a GPU: TensorRT for RTX."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.tensorrt import library
from edgevoice.runtime.engines.tensorrt.build import Steps

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="TensorRT for RTX is not installed: pip install tensorrt-rtx-cu12",
)
SCRIPT = Path(__file__).with_name("rtx_build.py")
ROOT = Path(__file__).parents[3]


def build_all(*orders: dict[str, Any]) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), json.dumps(orders)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    results: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return results


def order(onnx: Path | str, *profiles: tuple[int, int, int], **options: Any) -> dict[str, Any]:
    return {"onnx": str(onnx), "profiles": profiles or [(1, 8, 32)], "capabilities": ["8.6"], **options}


def memory(result: dict[str, Any], what: str) -> list[int]:
    lines = [re.match(rf"Total {what} Memory: (\d+) bytes", text) for _, text in result["log"]]
    return [int(found[1]) for found in lines if found]


@needs_rtx
def test_stages_build_with_a_static_and_a_dynamic_profile(tiny_bundle: Path) -> None:
    static, both = build_all(
        order(tiny_bundle / "vocoder.fp32.onnx", (32, 32, 32)),
        order(tiny_bundle / "acoustic.fp32.onnx", (32, 32, 32), (1, 8, 40)),
    )
    assert "error" not in static, static
    assert "error" not in both, both
    assert len(memory(static, "Activation")) == 1
    assert len(memory(both, "Activation")) == 2


@needs_rtx
def test_details_are_logged_when_asked_for(tiny_bundle: Path) -> None:
    (detailed,) = build_all(order(tiny_bundle / "vocoder.fp32.onnx", detailed=True))
    assert any("LayerType" in text for _, text in detailed["log"])


@needs_rtx
def test_what_tensorrt_refuses_is_one_line_with_its_reason(tiny_bundle: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    vocoder = tiny_bundle / "vocoder.fp32.onnx"
    results = build_all(
        order(broken),
        order(tmp_path / "absent.onnx"),
        order(vocoder, workspace_bytes=1024),
        order(vocoder, capabilities=["8.7"]),
        order(vocoder, capabilities=["8.6", "8.9"]),  # the two together are fine
    )
    errors = [result.get("error", "") for result in results]
    assert "broken.onnx" in errors[0]
    assert errors[1].endswith("absent.onnx: No such file or directory")
    assert "workspace" in errors[2].lower() or "memory" in errors[2].lower(), errors[2]
    assert "compute capability 8.7" in errors[3]
    assert errors[4] == ""
    assert all("\n" not in error for error in errors)


@pytest.mark.parametrize("good", ["10.3.0", "10.13.0.35", "10.16.1.11", "11.4.0.106"])
def test_releases_that_edgevoice_works_with(good: str) -> None:
    library.check_version(good)


@pytest.mark.parametrize(
    ("bad", "advice"), [("8.6.2", "JetPack 6.1"), ("10.2.0", "JetPack 6.1"), ("12.0", "update edgevoice")]
)
def test_releases_too_old_and_too_new_are_named(bad: str, advice: str) -> None:
    with pytest.raises(EdgevoiceError, match=f"TensorRT {bad} .*{advice}"):
        library.check_version(bad)


def test_no_tensorrt_is_one_line() -> None:
    with pytest.raises(EdgevoiceError, match="cannot be loaded here"):
        library.load("tensorrt_that_nobody_has")


def test_stubs_under_tensorrt_s_name_are_no_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt" / "__init__.pyi").touch()
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(EdgevoiceError, match="under its name is no TensorRT"):
        library.load()
    sys.modules.pop("tensorrt", None)


def test_the_log_s_reason_is_its_own_first_error() -> None:
    record = library.Record()
    assert record.reason("nothing") == "nothing"
    record.lines.append(("ERROR", "cudaError 35 in getDevice"))
    assert record.reason() == "cudaError 35 in getDevice"
    record.lines.append(("INFO", "hello"))
    record.lines.append(("ERROR", "[builder.cpp::build::12] Error Code 4:\n  no profile"))
    assert record.reason() == "Error Code 4: no profile"


@pytest.mark.parametrize("lengths", [(0, 1, 2), (3, 2, 4), (1, 5, 4)])
def test_steps_rise(lengths: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="rise"):
        Steps(*lengths)


@pytest.mark.parametrize(
    ("severity", "text", "memory"),
    [
        ("ERROR", "[defaultAllocator.cpp::allocate::31] Error Code 1: Cuda Runtime (out of memory)", True),
        ("ERROR", "[virtualMemoryBuffer.cpp::resizePhysical] Error Code 2: OutOfMemory (Requested 9)", True),
        ("INTERNAL_ERROR", "cudaErrorMemoryAllocation", True),
        ("ERROR", "Error Code 10: Internal Error (Could not find any implementation for node)", False),
        ("WARNING", "Tactic skipped: out of memory", False),
    ],
)
def test_memory_that_ran_out_is_told_from_other_errors(severity: str, text: str, memory: bool) -> None:
    record = library.Record()
    record.lines.append((severity, text))
    assert record.no_memory == memory
