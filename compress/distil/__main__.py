"""``python -m compress.distil RECIPE STAGE LABELS RUN``: train one stage's student, or go on with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from compress.distil.config import DistilConfig, from_table
from edgevoice.errors import EdgevoiceError


def read_recipe(path: Path) -> DistilConfig:
    """The ``[distil]`` table of a recipe file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgevoiceError(f"cannot read the recipe {path}: {error}") from None
    if "distil" not in tables:
        raise EdgevoiceError(f"{path} has no [distil] table")
    return from_table(DistilConfig, tables["distil"])


def run(
    recipe: Annotated[Path, typer.Argument(help="TOML file with a [distil] table")],
    stage: Annotated[str, typer.Argument(help="vocoder, acoustic or encoder")],
    labels: Annotated[Path, typer.Argument(help="folder made by compress.labels")],
    folder: Annotated[Path, typer.Argument(help="where checkpoints and curves go")],
    shards: Annotated[Optional[int], typer.Option(help="use only so many label shards")] = None,  # noqa: UP045
    grow: Annotated[bool, typer.Option(help="go on although there are more labels now")] = False,
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
    devices: Annotated[int, typer.Option(help="processes, or GPUs")] = 1,
    accelerator: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
) -> None:
    """Train until the recipe's steps are done."""
    import torch
    from lightning_fabric import Fabric

    from compress.distil.tasks import make_task
    from compress.distil.train import train
    from compress.labels.store import Labels

    torch.set_num_threads(threads)
    task = make_task(read_recipe(recipe), stage, Labels(labels, shards))
    train(task, folder, Fabric(accelerator=accelerator, devices=devices), grow)


if __name__ == "__main__":
    try:
        typer.run(run)
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
