"""The ratio that meets a limit, and the command that finds it."""

from __future__ import annotations

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from compress import teachers  # noqa: E402
from compress.prune import __main__ as command  # noqa: E402
from compress.prune import fit  # noqa: E402
from compress.prune.__main__ import run  # noqa: E402
from compress.prune.fit import Measured, Pruning, largest, multiplications  # noqa: E402
from compress.prune.ratio import kept  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402


def test_the_largest_ratio_within_a_limit_is_found() -> None:
    asked = []

    def measure(keep: float) -> Measured:
        asked.append(keep)
        return Measured(keep, 10 * keep**2, 5 * keep, 0.0)

    assert largest(measure, "megabytes", 4.0).keep == pytest.approx(0.63)
    assert len(asked) < 12
    assert largest(measure, "gmacs", 5.0).keep == 1.0
    assert largest(measure, "gmacs", 0.05).keep == 0.01
    with pytest.raises(EdgevoiceError, match=r"no ratio leaves 0\.01 gmacs: the least is 0\.05"):
        largest(measure, "gmacs", 0.01)


def test_many_channels_are_kept_in_eights_and_few_one_by_one() -> None:
    assert [kept(256, keep) for keep in (0.001, 0.6, 1.0)] == [8, 152, 256]
    assert [kept(6, keep) for keep in (0.001, 0.5, 1.0)] == [1, 3, 6]


def test_multiplications_are_counted_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv1d(4, 6, 3, padding=1), nn.ConvTranspose1d(6, 2, 4, 2, padding=1), nn.Conv1d(2, 2, 3, groups=2)
    )
    assert multiplications(network, {"input": torch.zeros(1, 4, 10)}) == 10 * 72 + 10 * 48 + 18 * 6


@pytest.mark.parametrize("stage", ["encoder", "vocoder"])
def test_a_smaller_ratio_is_a_smaller_stage(stage: str, tiny_voice: Path) -> None:
    pruning = Pruning(teachers.read(tiny_voice), stage, steps=20)
    whole, half = pruning.measure(1.0), pruning.measure(0.5)
    assert half.megabytes < whole.megabytes
    assert half.gmacs < whole.gmacs
    assert half.milliseconds > 0


def test_the_command_prints_the_recipes_lines(
    tiny_voice: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fit, "DIVISIONS", 4)
    monkeypatch.setattr(command, "SHOWN", (1.0,))
    run(tiny_voice, "vocoder", megabytes=0.045, steps=16)
    shown, table = capsys.readouterr().out.split("\n\n")
    last = shown.splitlines()[-1].split()
    assert float(last[1]) <= 0.045
    assert table.startswith("[distil.vocoder]\nkeep = 0.")


def test_what_cannot_be_met_is_refused_in_one_line(tiny_voice: Path) -> None:
    with pytest.raises(EdgevoiceError, match="--keep must be above 0"):
        run(tiny_voice, "vocoder", keep=0.0)
    with pytest.raises(EdgevoiceError, match=r"--keep must be above 0 and at most 1; it is 1\.5"):
        run(tiny_voice, "vocoder", keep=1.5)
    with pytest.raises(EdgevoiceError, match="give one of"):
        run(tiny_voice, "vocoder", megabytes=1.0, gmacs=1.0)
    with pytest.raises(EdgevoiceError, match="the acoustic cannot be pruned: choose one of encoder, vocoder"):
        run(tiny_voice, "acoustic")
