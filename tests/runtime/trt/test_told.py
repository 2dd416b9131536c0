"""A GPU that fails while somebody measures or tries a voice: what stood in for it is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from standin.gpu import Gpu

from edgevoice import Voice
from edgevoice.bench import worker
from edgevoice.deploy.selftest import examine, limits_for, sentence


@pytest.fixture
def failing(gpu_bundle: Path, card: Gpu) -> Path:
    """A voice that loads on the GPU, which is lost in the second run after that."""
    Voice.load(gpu_bundle, 1)
    before = len(card.arenas)
    Voice.load(gpu_bundle, 1)
    card.lost_after = 2 * len(card.arenas) - before + 2
    return gpu_bundle


def test_figures_of_the_cpu_are_not_the_gpu_s(failing: Path) -> None:
    measured = worker.main(str(failing), 1, 0)
    assert "by ONNX Runtime on the CPU" in measured["engines"]
    assert "the GPU failed" in measured["remark"]


def test_a_gpu_that_fails_in_the_self_test_is_a_problem(failing: Path, card: Gpu) -> None:
    text = sentence("en-us")
    report = examine(lambda: Voice.load(failing, 1), text, limits_for("en-us"))
    assert any("the GPU failed" in problem for problem in report.problems)


def test_what_speaks_on_the_cpu_from_the_start_is_none(gpu_bundle: Path, card: Gpu) -> None:
    card.lost = True
    text = sentence("en-us")
    report = examine(lambda: Voice.load(gpu_bundle, 1), text, limits_for("en-us"))
    assert not any("GPU" in problem for problem in report.problems)
