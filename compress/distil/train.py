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
    fabric = fabric or Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(task, folder, fabric, start, grow)
    end = run.schedule.steps if stop_at is None else min(stop_at, run.schedule.steps)
    with _logs(folder, run.progress.step, fabric.is_global_zero) as log:
        while run.progress.step < end and not _any(fabric, stopped()):
            run.advance()
            log(run.progress, run.schedule)
            if run.progress.step % run.schedule.save_every == 0:
                run.save()
        run.save()
    return run.progress.step


class Run:
    """One student in training: network, moving average, optimiser, adversary if the task has one, progress.

    Begins where the folder's checkpoint stands, else with ``start`` or random weights.
    """

    def __init__(
        self, task: Task, folder: Path, fabric: Fabric, start: checkpoint.Start | None, grow: bool
    ) -> None:
        self.task, self.folder, self.fabric = task, folder, fabric
        self.schedule: Schedule = task.stage.schedule
        self.identity = checkpoint.identity_of(task)
        state = checkpoint.load(folder)
        torch.manual_seed(self.schedule.seed)
        self.student = task.student() if state is None and start is None else blank(task)
        self.before = checkpoint.begin(self.student, start)
        self.average = {name: value.detach().clone() for name, value in self.student.state_dict().items()}
        self.model, self.optimiser = fabric.setup(self.student, _optimiser(self.student, self.schedule))
        table = getattr(task, "adversary", None)
        self.adversary = Adversary(task, table, self.schedule, fabric) if table else None  # type: ignore[arg-type]
        self.progress = Progress()
        if state is not None:
            self._resume(state, start, grow)

    def _resume(self, state: dict[str, Any], start: checkpoint.Start | None, grow: bool) -> None:
        if grow:
            state["identity"].update(shards=self.identity.shards, with_audio=self.identity.with_audio)
        checkpoint.check(self.folder, state, self.identity)
        self.before = checkpoint.kept(self.folder, state, start)
        self.student.load_state_dict(state["student"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.average = state["average"]
        if self.adversary is not None:
            self.adversary.load(state["adversary"])
        self.progress = Progress(state["step"], state["seconds"])
        torch.set_rng_state(state["random"])

    def save(self) -> None:
        """Write the checkpoint, whole or not at all, by the first process alone."""
        if not self.fabric.is_global_zero:
            return
        state = {
            "student": self.student.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "random": torch.get_rng_state(),
            "step": self.progress.step,
            "seconds": self.progress.seconds,
            **({"adversary": self.adversary.state()} if self.adversary is not None else {}),
            **self.before,
        }
        checkpoint.save(self.folder, self.identity, state)

    def advance(self) -> None:
        """One step over all processes. A loss that is no number is an `EdgevoiceError`."""
        started, step = time.monotonic(), self.progress.step
        rate = rate_at(step, self.schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = self.task.batch(step, self.fabric.global_rank, self.fabric.world_size)
        batch = {name: self.fabric.to_device(value) for name, value in batch.items()}
        if self.adversary is None:
            loss, parts = self.task.loss(self.model, batch, step)
        else:
            loss, parts = self.adversary.loss(self.model, batch, step, rate / self.schedule.rate)
        _refuse_nan(loss, step, self.folder)
        norm = self._descend(loss)
        _follow(self.average, self.student, self.schedule.average, step)
        self.progress.step += 1
        self.progress.seconds += time.monotonic() - started
        terms = {name: value.item() for name, value in parts.items()}
        self.progress.add({"loss": terms.pop("distance", loss.item()), "norm": norm, **terms})

    def _descend(self, loss: Tensor) -> float:
        self.optimiser.zero_grad()
        self.fabric.backward(loss)
        norm = self.fabric.clip_gradients(
            self.model, self.optimiser, max_norm=self.schedule.clip, error_if_nonfinite=False
        )
        self.optimiser.step()
        return float(norm or 0.0)


def _optimiser(student: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        student.parameters(), schedule.rate, betas=(0.8, 0.99), weight_decay=schedule.weight_decay, fused=True
    )


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
