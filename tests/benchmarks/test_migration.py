"""Scales moved into the weights: the same function, and a table of what that changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("onnx")

from benchmarks import migration
from calibration.quantize import prepare
from calibration.ranges import session
from tests.calibration import tiny_graphs as graphs


def test_the_function_stays_and_the_channels_are_even(tmp_path: Path) -> None:
    path = graphs.vocoder(tmp_path / "vocoder.onnx")
    windows = [graphs.latents(seed=seed) for seed in range(3)]
    for window in windows:
        window["latents"][:, 3] *= 40  # one loud channel
    model = prepare(path, "cpu")
    peaks = migration.peaks_of(model, windows)
    moved = migration.migrated(model, peaks, 1.0)
    onnx.checker.check_model(moved)
    before, after = (session(one).run(None, windows[0])[0] for one in (model, moved))
    assert np.abs(before - after).max() < 1e-5
    even = migration.peaks_of(moved, windows)
    loud, level = peaks["latents"], even["/dec/pre/Conv_even"]
    assert loud.max() > 10 * np.median(loud)
    assert level.max() == pytest.approx(np.median(level), rel=1e-4)


def test_a_table_of_all_layers(tiny_voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text("[quantize]\nsentences = 8\nmethod = \"minmax\"\n[judge]\nsentences = 2\n")
    assert migration.main([str(tiny_voice), "--recipe", str(recipe)]) == 0
    told = capsys.readouterr().out
    assert "alpha 0.5" in told
    assert "/dec/conv_pre/Conv" in told
    assert told.splitlines()[-1].split()[0] == "all"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["no-such.onnx"], "does not exist"), (["VOICE", "--recipe", "split"], "makes no INT8")],
)
def test_what_cannot_be_is_one_line(
    tiny_voice: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert migration.main([str(tiny_voice) if one == "VOICE" else one for one in arguments]) == 2
    assert told in capsys.readouterr().err.strip().splitlines()[-1]
