"""The table of what the sensitivity search is worth, on the tiny voice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("onnx")

from benchmarks import sensitivity
from calibration.measures.compare import Comparison

RECIPE = """
[quantize]
sentences = 8
method = "minmax"
limit = {limit}
search_seconds = {seconds}
"""


def test_both_sets_of_layers_are_held_against_fp32(
    tiny_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out = tmp_path / "tiny.toml", tmp_path / "found.json"
    recipe.write_text(RECIPE.format(limit=0.03, seconds=1000.0))
    command = [str(tiny_voice), "--recipe", str(recipe), "--sentences", "2", "--measures", "spectral"]
    assert sensitivity.main([*command, "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["sentences"] == 2
    assert found["left_out"]
    assert found["int8_operators"][sensitivity.ALL] > found["int8_operators"][sensitivity.FOUND] > 0
    losses = {name: figures["log_mel_l1"]["mean"] for name, figures in found["figures"].items()}
    assert losses[sensitivity.ALL] > losses[sensitivity.FOUND] > 0
    apart = losses[sensitivity.ALL] - losses[sensitivity.FOUND]
    assert found["worse"]["log_mel_l1"]["mean"] == pytest.approx(apart)
    told = capsys.readouterr().out
    assert "log_mel_l1" in told
    assert "left in floating point: " in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (["--recipe", "split"], "makes no INT8 of the vocoder"),
        (["--measures", "magic"], "unknown measure 'magic'"),
        (["--sentences", "5000"], "judges on 5000 sentences"),
    ],
)
def test_what_cannot_be_is_one_line(
    tiny_voice: Path, change: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sensitivity.main([str(tiny_voice), *change]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert told in error


def test_differences_are_paired() -> None:
    found = Comparison({}, {"log_mel_l1": [0.1, 0.2]})
    whole = Comparison({}, {"log_mel_l1": [0.4, 0.6]})
    assert sensitivity.differences(found, whole)["log_mel_l1"].mean == pytest.approx(0.35)
