"""Students of the tiny voice, so small that a run takes a second."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from compress.distil.config import DistilConfig, from_table
from compress.distil.tasks import make_task
from compress.distil.train import train
from compress.labels.store import Labels

torch.set_num_threads(1)  # threads that wait for each other on busy cores take ten times as long

SCHEDULE = "steps = {steps}\nitems = 2\nframes = 24\nrate = 3e-3\nwarmup = 1\nsave_every = 2\n"
TABLES = f"""
[distil.vocoder]
width = 8
kernels = [3]
n_fft = 512
[distil.vocoder.loss]
sizes = [256, 512]
draw = 1
[distil.vocoder.schedule]
{SCHEDULE}
[distil.acoustic]
width = 8
kernels = [3]
[distil.acoustic.schedule]
{SCHEDULE}
[distil.encoder]
width = 8
kernels = [3, 3]
attention_after = [1]
duration_width = 8
duration_kernels = [3]
[distil.encoder.schedule]
{SCHEDULE}
"""
RECIPE = TABLES.format(steps=3)
STAGES = ("vocoder", "acoustic", "encoder")


def config(text: str = RECIPE) -> DistilConfig:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return from_table(DistilConfig, tomllib.loads(text)["distil"])


def trained_runs(folder: Path, labels: Labels, text: str = RECIPE) -> Path:
    """One run for each stage, trained to its end."""
    for stage in STAGES:
        train(make_task(config(text), stage, labels), folder / stage)
    return folder
