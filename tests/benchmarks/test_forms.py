"""The table of ways to make matrix products small, on a tiny network and the tiny voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from benchmarks import forms
from calibration.census import HEAVY, integer_operators
from edgevoice.runtime.engines.onnx import OnnxEngine
from tests.calibration import tiny_graphs as graphs

ROWS = [{"rows": np.random.default_rng(n).normal(0, 1, (1, 12, 16)).astype(np.float32)} for n in range(8)]


def test_each_form_of_the_same_products(tmp_path: Path) -> None:
    plain = graphs.products(tmp_path / "products.onnx")
    exact = OnnxEngine(plain, 1).run(ROWS[0])[0]
    integer = {}
    for number, (name, make) in enumerate(forms.forms(plain, ROWS).items()):
        path = tmp_path / f"{number}.onnx"
        make(path)
        integer[name] = sum(n for kind, n in integer_operators(path).items() if kind in HEAVY)
        apart = OnnxEngine(path, 1).run(ROWS[0])[0] - exact
        assert 0 < np.sqrt(np.mean(apart**2)) < 0.2 * np.std(exact), name
    assert integer.pop("static, 16-bit activations") == 0
    assert set(integer.values()) == {2}


def test_a_table_has_a_row_of_each_form() -> None:
    figure = {"mean": 0.1, "low": 0.0, "high": 0.2}
    one = {"figures": {"log_mel_l1": figure}, "faster": 1.5, "size": 0.25, "integer": 3}
    header, first, second = forms.table({forms.SHIPPED: one, "dynamic": one})
    assert first[1:] == ["0.100 (0.000 to 0.200)", "1.50", "0.25", "3"] == second[1:]
    assert len(header) == len(first)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--recipe", "split"], "makes no INT8"),
        (["--measures", "magic"], "unknown measure 'magic'"),
        (["--sentences", "5000"], "judges on 5000 sentences"),
        (["--sentences", "0"], "at least 1"),
        (["--weights", "no-such"], "has no [distil] table"),
        (["--stage", "vocoder", "--measures", "spectral", "--sentences", "2"], "has no matrix products"),
    ],
)
def test_what_cannot_be_is_one_line(
    tiny_voice: Path, change: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert forms.main([str(tiny_voice), *change]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert told in error
