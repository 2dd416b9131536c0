"""What the tests of pruned stages share: the tiny voice cut, its labels, and a check of their training."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from compress.staged import StagedVoice


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """What a test draws from torch is the same in every run."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def few_samples(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Networks this small lose more than they gain by sharing their work among threads."""
    import torch

    from compress.distil.tasks import pruned

    monkeypatch.setattr(pruned, "SAMPLES", 8)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def voice(tiny_voice: Path) -> StagedVoice:
    from compress import teachers

    return teachers.read(tiny_voice)


@pytest.fixture(scope="session")
def labels(voice: StagedVoice, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from voice_labels import voice_labels

    return voice_labels(voice, tmp_path_factory.mktemp("labels"))


@pytest.fixture
def check_training(tmp_path: Path) -> Callable[[Callable[[], Any]], None]:
    """Six steps mend what ``make`` pruned, and a run that was stopped ends as one that was not."""
    import torch

    from compress.distil import checkpoint
    from compress.distil.train import train

    def check(make: Callable[[], Any]) -> None:
        assert train(make(), tmp_path / "whole") == 6
        assert train(make(), tmp_path / "parts", stop_at=3) == 3
        assert train(make(), tmp_path / "parts") == 6
        whole, parts = checkpoint.load(tmp_path / "whole"), checkpoint.load(tmp_path / "parts")
        assert whole is not None
        assert parts is not None
        for kind in ("student", "average"):
            assert all(torch.equal(value, parts[kind][name]) for name, value in whole[kind].items())
        task = make()
        student, batch = task.student(), task.batch(500)
        before = float(task.loss(student, batch, 0)[0].detach())
        student.load_state_dict(whole["student"])
        assert float(task.loss(student, batch, 0)[0].detach()) < before

    return check
