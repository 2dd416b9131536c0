"""``python -m compress.prune VOICE STAGE``: what ratios leave of a stage, and the one that meets a limit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from compress.command import one_line
from edgevoice.errors import EdgevoiceError

SHOWN = (1.0, 0.75, 0.5, 0.25)


def run(
    voice: Annotated[Path, typer.Argument(help="a Piper voice's ONNX file")],
    stage: Annotated[str, typer.Argument(help="encoder or vocoder")],
    keep: Annotated[Optional[float], typer.Option(help="show this ratio")] = None,  # noqa: UP045
    megabytes: Annotated[Optional[float], typer.Option(help="at most, of the FP32 file")] = None,  # noqa: UP045
    milliseconds: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="at most, for one run of --steps on one thread of this machine"),
    ] = None,
    gmacs: Annotated[
        Optional[float],  # noqa: UP045
        typer.Option(help="at most, a second of sound (encoder: for 100 phonemes)"),
    ] = None,
    steps: Annotated[int, typer.Option(help="frames, or phonemes, of the run that is timed", min=1)] = 96,
) -> None:
    """Print a stage's sizes at some ratios and, given one limit, the recipe's lines that meet it.

    Nothing is pruned here: a recipe with `keep` does that when its student is trained.
    """
    from compress.prune.fit import Pruning, largest
    from compress.teachers import read

    limits = {"megabytes": megabytes, "milliseconds": milliseconds, "gmacs": gmacs}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if len(given) + (keep is not None) > 1:
        raise EdgevoiceError("give one of --keep, --megabytes, --milliseconds and --gmacs")
    if keep is not None and not 0 < keep <= 1:
        raise EdgevoiceError(f"--keep must be above 0 and at most 1; it is {keep:g}")
    pruning = Pruning(read(voice), stage, steps)
    fitting = [largest(pruning.measure, what, limit) for what, limit in given.items()]
    shown = [pruning.measure(ratio) for ratio in ([keep] if keep is not None else SHOWN)] + fitting
    print("  keep     MB   GMAC     ms")
    for row in shown:
        print(f"{row.keep:6.2f} {row.megabytes:6.2f} {row.gmacs:6.3f} {row.milliseconds:6.1f}")
    if given:
        print(f"\n[distil.{stage}]\nkeep = {shown[-1].keep:g}")


if __name__ == "__main__":
    with one_line():
        typer.run(run)
