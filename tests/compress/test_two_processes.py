"""Two processes that share every batch end where one ends: the same command, ``--devices 2``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tiny_labels import tiny_labels  # noqa: E402
from tiny_students import SCHEDULE, TABLES, trained_runs  # noqa: E402

from compress.distil import checkpoint  # noqa: E402
from compress.distil.config import read_recipe  # noqa: E402
from compress.distil.tasks import finish, make_task  # noqa: E402
from compress.distil.train import train  # noqa: E402
from compress.labels.store import Labels  # noqa: E402

pytestmark = pytest.mark.timeout(2 * 240 + 60)  # processes that import torch, on a busy machine

LIMIT = 240
"""Seconds until something hangs."""

RECIPE = """
[distil.vocoder]
width = 8
kernels = [3]
n_fft = 64
[distil.vocoder.loss]
sizes = [32, 64]
draw = 1
[distil.vocoder.schedule]
steps = {steps}
items = 4
frames = 24
rate = 1e-3
warmup = 1
save_every = 2
"""


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., list[str]]:
    def make(folder: str, devices: int, steps: int = 4) -> list[str]:
        recipe = tmp_path / f"{folder}.toml"
        recipe.write_text(RECIPE.format(steps=steps))
        parts = [sys.executable, "-m", "compress.distil", recipe, "vocoder", tmp_path / "labels"]
        return [*map(str, parts), str(tmp_path / folder), "--devices", str(devices)]

    tiny_labels(tmp_path / "labels")
    return make


@pytest.fixture
def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "LOCAL_RANK"}
    return {**kept, "OMP_NUM_THREADS": "1"}


def test_two_processes_give_the_result_of_one(
    command: Callable[..., list[str]], environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        command("two", 2),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    assert done.returncode == 0, done.stderr
    assert "with 2 processes" in done.stderr
    task = make_task(read_recipe(tmp_path / "two.toml"), "vocoder", Labels(tmp_path / "labels"))
    assert train(task, tmp_path / "one") == 4
    one, two = ((checkpoint.load(tmp_path / name) or {})["average"] for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5)


def test_so_do_two_with_an_adversary(environment: dict[str, str], tmp_path: Path) -> None:
    labels = tiny_labels(tmp_path / "labels", count=40)
    runs = trained_runs(tmp_path / "runs", labels)
    recipe = tmp_path / "finish.toml"
    adversary = "[distil.finish.adversary]\nwidth = 4\nsizes = [128, 256]\n[distil.finish.schedule]\n"
    recipe.write_text(TABLES.format(steps=3) + adversary + SCHEDULE.format(steps=1))
    parts = [sys.executable, "-m", "compress.distil", recipe, "finish", labels.root, tmp_path / "two"]
    command = [*map(str, parts), "--fellows", str(runs), "--devices", "2"]
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT
    )
    assert done.returncode == 0, done.stderr
    config = read_recipe(recipe)
    finish.gather(config, labels, runs, tmp_path / "one")
    task = make_task(config, "finish", labels, folder=tmp_path / "one")
    train(task, tmp_path / "one", start=finish.start(tmp_path / "one"))
    one, two = (checkpoint.load(tmp_path / name) or {} for name in ("one", "two"))
    assert apart(one["optimiser"], two["optimiser"]) < 5e-3
    pairs = [[state["adversary"][size]["optimiser"] for state in (one, two)] for size in ("128", "256")]
    learned = [pair for pair in pairs if pair[0]["state"]]
    assert learned
    assert max(apart(*pair) for pair in learned) < 5e-3


def apart(one: dict[str, Any], two: dict[str, Any]) -> float:
    """Relative distance of the gradients' averages, all parameters as one vector.

    Not of the weights: Adam's first step is the gradients' signs, which rounding turns where those are small.
    """
    first, second = (
        torch.cat([state["state"][name]["exp_avg"].flatten() for name in one["state"]])
        for state in (one, two)
    )
    return float((first - second).norm() / first.norm())


def test_one_that_is_asked_to_end_ends_both(
    command: Callable[..., list[str]], environment: dict[str, str], tmp_path: Path
) -> None:
    said = tmp_path / "said"
    with said.open("wb") as output:
        process = subprocess.Popen(
            command("long", 2, steps=1_000_000),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + LIMIT
        while not (tmp_path / "long" / checkpoint.NAME).exists():
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.05)
        process.terminate()  # the first process alone
        assert process.wait(LIMIT) == 0, said.read_text()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    state = checkpoint.load(tmp_path / "long")
    assert state is not None
    assert 0 < state["step"] < 1_000_000
