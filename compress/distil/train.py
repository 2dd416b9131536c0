"""The training loop, one for all stages; with Lightning Fabric it runs on one CPU or many GPUs unchanged."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from compress.distil import checkpoint
from compress.distil.adversary import Adversary
from compress.distil.config import Schedule
from compress.distil.tasks.base import Task, blank
from edgevoice.errors import EdgevoiceError

LINE_SECONDS = 30.0


@dataclass
class Progress:
    """Where a run stands: ``seconds`` of training so far, over all its sessions."""

    step: int = 0
    seconds: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, parts: dict[str, float]) -> None:
        for name, value in parts.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1

    def means(self) -> dict[str, float]:
        """Means of the parts since the last call."""
        result = {name: value / self.counts[name] for name, value in self.sums.items()}
        self.sums.clear()
        self.counts.clear()
        return result


def rate_at(step: int, schedule: Schedule) -> float:
    """The learning rate: a linear rise, level, then linear down to zero at the end."""
    rise = min(1.0, (step + 1) / max(1, schedule.warmup))
    falling = schedule.steps * schedule.decay
    fall = min(1.0, (schedule.steps - step) / falling) if falling else 1.0
    return schedule.rate * rise * max(0.0, fall)


def train(
    task: Task,
    folder: Path,
    fabric: Fabric | None = None,
    grow: bool = False,
    stop_at: int | None = None,
    stopped: Callable[[], bool] = lambda: False,
    start: checkpoint.Start | None = None,
) -> int:
    """Train the task's student in ``folder``, going on from its checkpoint; returns the step reached.

    ``grow``: go on although there are more label shards now. ``stop_at``: stop early, to go on
    later. ``stopped``: asked after each step; once true, the run is saved and ends. ``start``: weights to
    begin with instead of random ones.
    """
    schedule: Schedule = task.stage.schedule
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    folder.mkdir(parents=True, exist_ok=True)
    identity = checkpoint.identity_of(task)

    state = checkpoint.load(folder)
    torch.manual_seed(schedule.seed)
    student = task.student() if state is None and start is None else blank(task)
    before = checkpoint.begin(student, start)
    average = {name: value.detach().clone() for name, value in student.state_dict().items()}
    optimiser = torch.optim.AdamW(
        student.parameters(), schedule.rate, betas=(0.8, 0.99), weight_decay=schedule.weight_decay, fused=True
    )
    model, optimiser = fabric.setup(student, optimiser)
    table = getattr(task, "adversary", None)
    adversary = Adversary(task, table, schedule, fabric) if table else None  # type: ignore[arg-type]
    progress = Progress()

    if state is not None:
        if grow:
            state["identity"].update(shards=identity.shards, with_audio=identity.with_audio)
        checkpoint.check(folder, state, identity)
        before = checkpoint.kept(folder, state, start)
        student.load_state_dict(state["student"])
        optimiser.load_state_dict(state["optimiser"])
        average = state["average"]
        if adversary is not None:
            adversary.load(state["adversary"])
        progress = Progress(state["step"], state["seconds"])
        torch.set_rng_state(state["random"])

    def save() -> None:
        if fabric.is_global_zero:
            state = {
                "student": student.state_dict(),
                "average": average,
                "optimiser": optimiser.state_dict(),
                "random": torch.get_rng_state(),
                "step": progress.step,
                "seconds": progress.seconds,
                **({"adversary": adversary.state()} if adversary is not None else {}),
                **before,
            }
            checkpoint.save(folder, identity, state)

    end = schedule.steps if stop_at is None else min(stop_at, schedule.steps)
    with _logs(folder, progress.step, fabric.is_global_zero) as log:
        while progress.step < end and not _any(fabric, stopped()):
            started, rate = time.monotonic(), rate_at(progress.step, schedule)
            for group in optimiser.param_groups:
                group["lr"] = rate
            batch = task.batch(progress.step, fabric.global_rank, fabric.world_size)
            batch = {name: fabric.to_device(value) for name, value in batch.items()}
            if adversary is None:
                loss, parts = task.loss(model, batch, progress.step)
            else:
                loss, parts = adversary.loss(model, batch, progress.step, rate / schedule.rate)
            _refuse_nan(loss, progress.step, folder)
            optimiser.zero_grad()
            fabric.backward(loss)
            norm = fabric.clip_gradients(model, optimiser, max_norm=schedule.clip, error_if_nonfinite=False)
            optimiser.step()
            _follow(average, student, schedule.average, progress.step)
            progress.step += 1
            progress.seconds += time.monotonic() - started
            terms = {name: value.item() for name, value in parts.items()}
            progress.add({"loss": terms.pop("distance", loss.item()), "norm": float(norm or 0.0), **terms})
            log(progress, schedule)
            if progress.step % schedule.save_every == 0:
                save()
        save()
    return progress.step


def _any(fabric: Fabric, asked: bool) -> bool:
    """Whether any process is asked to stop: one that ended alone would leave the others waiting for it."""
    if fabric.world_size == 1:
        return asked
    return bool(fabric.all_reduce(torch.tensor(float(asked)), reduce_op="sum"))


def _refuse_nan(loss: Tensor, step: int, folder: Path) -> None:
    if not torch.isfinite(loss):
        raise EdgevoiceError(
            f"the loss became {loss.item()} at step {step}; the last good checkpoint is in {folder}: "
            "lower the recipe's rate, or look for damaged labels"
        )


@torch.no_grad()
def _follow(average: dict[str, Tensor], student: nn.Module, keep: float, step: int) -> None:
    """Move the average of the weights; early on it forgets faster, so that it starts from no old weights."""
    keep = min(keep, (1 + step) / (10 + step))
    for name, value in student.state_dict().items():
        average[name].lerp_(value.to(average[name]), 1 - keep)


@contextmanager
def _logs(folder: Path, step: int, active: bool) -> Iterator[Any]:
    """A line on stderr every half minute, with TensorBoard curves and ``curve.csv`` beside the checkpoint."""
    if not active:
        yield lambda progress, schedule: None
        return
    from torch.utils.tensorboard import SummaryWriter

    board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
    shown = [time.monotonic(), step]

    def log(progress: Progress, schedule: Schedule) -> None:
        now = time.monotonic()
        if now - shown[0] < LINE_SECONDS and progress.step != schedule.steps:
            return
        pace = (now - shown[0]) / max(1, progress.step - shown[1])
        shown[:] = now, progress.step
        means = progress.means()
        _write_curve(folder / "curve.csv", progress, means)
        for name, value in means.items():
            board.add_scalar(name, value, progress.step)
        left = pace * (schedule.steps - progress.step) / 60
        print(
            f"step {progress.step}/{schedule.steps}  loss {means['loss']:.4f}  {pace:.2f} s a step, "
            f"about {left:.0f} min left",
            file=sys.stderr,
            flush=True,
        )

    try:
        yield log
    finally:
        board.close()


def _write_curve(path: Path, progress: Progress, means: dict[str, float]) -> None:
    terms: dict[str, list[float]] = {}
    for name, value in means.items():
        terms.setdefault(name.split("/")[0], []).append(value)
    fresh = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if fresh:
            writer.writerow(["step", "seconds", "term", "mean"])
        for name, values in terms.items():
            mean = round(sum(values) / len(values), 5)
            writer.writerow([progress.step, round(progress.seconds), name, mean])
