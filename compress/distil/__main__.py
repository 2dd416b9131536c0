"""``python -m compress.distil RECIPE STAGE LABELS RUN``: train one stage's student, or go on with it."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated, Optional

import typer

from compress.command import one_line
from compress.distil.config import read_recipe
from edgevoice.errors import EdgevoiceError


def run(
    recipe: Annotated[Path, typer.Argument(help="TOML file with a [distil] table")],
    stage: Annotated[
        str, typer.Argument(help="vocoder, acoustic, encoder, text (the last two as one), or finish")
    ],
    labels: Annotated[Path, typer.Argument(help="folder made by compress.labels")],
    folder: Annotated[Path, typer.Argument(help="where checkpoints and curves go")],
    voice: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="the labels' teacher, where the recipe prunes its own stage"),
    ] = None,
    shards: Annotated[Optional[int], typer.Option(help="use only so many label shards")] = None,  # noqa: UP045
    grow: Annotated[bool, typer.Option(help="go on although there are more labels now")] = False,
    until: Annotated[Optional[int], typer.Option(help="stop at this step; a later run goes on")] = None,  # noqa: UP045
    start: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--from", help="a file of weights to begin with (compress.distil.weights)"),
    ] = None,
    fellows: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="finish: the folder of the other runs, copied once (default: beside RUN)"),
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
    devices: Annotated[int, typer.Option(help="processes, or GPUs")] = 1,
    accelerator: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
) -> None:
    """Train until the recipe's steps are done."""
    import torch
    from lightning_fabric import Fabric

    from compress.distil import weights
    from compress.distil.tasks import finish, make_task
    from compress.distil.train import train
    from compress.labels.store import Labels
    from compress.teachers import read

    torch.set_num_threads(threads)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    config, seen = read_recipe(recipe), Labels(labels, shards)
    teacher = None if voice is None else read(voice)
    begin = weights.start(start, stage) if start else None
    if stage == "finish" and start:
        raise EdgevoiceError("the finish begins with the vocoder's run: leave out --from")
    if stage == "finish":
        finish.gather(config, seen, fellows or folder.parent, folder, teacher)
        begin = finish.start(folder)
    task = make_task(config, stage, seen, teacher, folder)
    fabric = Fabric(accelerator=accelerator, devices=devices)
    train(task, folder, fabric, grow, until, lambda: bool(asked), begin)


if __name__ == "__main__":
    with one_line():
        typer.run(run)
