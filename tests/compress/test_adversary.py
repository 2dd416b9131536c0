"""The vocoder's adversary: it learns to tell sounds apart, and moves a student towards the teacher's."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from lightning_fabric import Fabric  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from compress.distil.adversary import (  # noqa: E402
    Adversary,
    Discriminator,
    feature_matching,
    frozen,
    spectrogram_input,
)
from compress.distil.config import AdversaryTable, Schedule  # noqa: E402
from compress.distil.tasks.base import Batch  # noqa: E402

SAMPLES = 2048


class Hiss:
    """A task whose teacher hisses at one level, and whose student is that level; no distance helps it."""

    def sounds(self, student: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        return student(batch["noise"]), 0.1 * batch["other"]

    def distance(self, ours: Tensor, theirs: Tensor, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        return torch.zeros(()), {}


class Level(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.level = nn.Parameter(torch.tensor(0.01))

    def forward(self, noise: Tensor) -> Tensor:
        return noise * self.level


def batch(step: int) -> Batch:
    noise = torch.Generator().manual_seed(step)
    return {name: torch.randn(4, SAMPLES, generator=noise) for name in ("noise", "other")}


def adversary(**values: float) -> Adversary:
    torch.manual_seed(3)
    table = AdversaryTable(sizes=(128, 256), width=8, rate=3e-3, **values)
    return Adversary(Hiss(), table, Schedule(seed=1), Fabric(accelerator="cpu", devices=1))


def test_it_learns_to_tell_the_two_apart() -> None:
    judge, student = adversary(), Level()
    said = [judge.loss(student, batch(step), step, 1.0)[1] for step in range(80)]
    lost = [float(value) for parts in said for name, value in parts.items() if "discriminator" in name]
    assert sum(lost[:3]) / 3 > 1.5  # knows nothing: one of two for each side
    assert sum(lost[-10:]) / 10 < 0.7


@pytest.mark.parametrize("values", [{"features": 0.0}, {"weight": 0.0}])
def test_either_term_alone_moves_the_student_towards_the_teacher(values: dict[str, float]) -> None:
    judge, student = adversary(**values), Level()
    optimiser = torch.optim.Adam(student.parameters(), 2e-3)
    for step in range(60):
        loss, _ = judge.loss(student, batch(step), step, 1.0)
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
    assert 0.05 < student.level.item() < 0.2


def test_the_students_step_leaves_the_adversarys_gradients_alone() -> None:
    judge, student = adversary(), Level()
    loss, _ = judge.loss(student, batch(0), 0, 1.0)
    (used,) = [m for m in judge.models.values() if any(p.grad is not None for p in m.parameters())]
    before = [p.grad.clone() for p in used.parameters() if p.grad is not None]
    torch.autograd.backward(loss)
    after = [p.grad for p in used.parameters() if p.grad is not None]
    assert len(before) == len(after) > 0
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert all(p.requires_grad for p in used.parameters())


def test_at_no_pace_it_learns_nothing() -> None:
    judge, student = adversary(), Level()
    before = {(s, n): v.clone() for s, m in judge.models.items() for n, v in m.state_dict().items()}
    for step in range(6):
        judge.loss(student, batch(step), step, 0.0)
    after = {(s, n): v for s, m in judge.models.items() for n, v in m.state_dict().items()}
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_silence_has_an_input_and_a_gradient() -> None:
    wave = torch.zeros(1, SAMPLES, requires_grad=True)
    seen = spectrogram_input(wave, 256)
    assert seen.shape[:2] == (1, 4)
    assert torch.isfinite(seen).all()
    score, features = Discriminator(256, 4)(wave)
    torch.autograd.backward(score.mean() + feature_matching(features, [one.detach() + 1 for one in features]))
    assert wave.grad is not None
    assert torch.isfinite(wave.grad).all()


def test_the_rounding_of_16_bits_is_not_seen() -> None:
    quiet = torch.randn(1, SAMPLES, generator=torch.Generator().manual_seed(1)) * 1e-6
    rounded = torch.round(quiet * 32767) / 32767
    dithered = quiet + (torch.rand(1, SAMPLES) - 0.5) / 32767
    for size in (128, 512):
        apart = spectrogram_input(dithered, size) - spectrogram_input(rounded, size)
        assert apart.abs().mean() < 0.03


def test_items_are_matched_one_by_one() -> None:
    ours, theirs = [torch.tensor([[2.0], [30.0]])], [torch.tensor([[1.0], [20.0]])]
    assert feature_matching(ours, theirs).item() == pytest.approx((1.0 + 0.5) / 2)


def test_a_frozen_model_wakes_again_after_an_error() -> None:
    model = Discriminator(256, 4)
    with pytest.raises(RuntimeError), frozen(model):
        raise RuntimeError
    assert all(p.requires_grad for p in model.parameters())
