"""The table of builds under TensorRT for RTX: a build that fails is no success of the command."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("onnx")

from benchmarks import rtx
from compress.rtx.figures import Figures
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.tensorrt.build import Order


@pytest.mark.parametrize(
    ("fault", "status", "told"),
    [
        ("", 0, ""),
        ("refused", 1, "error: vocoder fp32 for 8.6: REFUSED: the parser says no"),
        ("silent", 1, "error: vocoder fp32 for 8.6: not in the log"),
    ],
)
def test_a_build_that_fails_is_named_and_ends_with_1(
    tiny_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fault: str,
    status: int,
    told: str,
) -> None:
    def build(order: Order) -> Figures:
        if fault == "refused":
            raise EdgevoiceError("the parser says no")
        return Figures(0 if fault == "silent" else 1 << 20, 1 << 20, 1 << 20, {}, ())

    monkeypatch.setattr(rtx, "build", build)
    words = [str(tiny_bundle), "--capabilities", "8.6", "--stages", "vocoder"]
    assert rtx.main(words) == status
    shown = capsys.readouterr()
    assert [line for line in shown.err.splitlines() if line.startswith("error")] == ([told] if told else [])
    assert "vocoder" in shown.out


def test_a_bundle_without_a_file_for_tensorrt_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    assert rtx.main(["kokoro"]) == 2
    assert "no file of the stage encoder for TensorRT" in capsys.readouterr().err
