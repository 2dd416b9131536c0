"""``python -m compress.distil.evaluate RECIPE LABELS RUN REFERENCE``: a vocoder against its teacher.

REFERENCE holds the teacher's answers to held-out sentences (``python -m compress.labels TEACHER REFERENCE
--held-out``). The student gets the teacher's own latents, so durations and noise are the same. Each call
adds a line to ``evaluations.jsonl`` in RUN: the curve of quality against training time.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from compress.distil.config import read_recipe
from edgevoice.errors import EdgevoiceError


def evaluate(
    recipe: Path, labels: Path, folder: Path, reference: Path, count: int, groups: list[str]
) -> dict[str, Any]:
    """Measures of the run's averaged weights over the first ``count`` utterances, with intervals."""
    import torch

    from calibration.measures import compare
    from compress.distil import checkpoint
    from compress.distil.tasks import make_task
    from compress.distil.tasks.vocoder import VocoderTask
    from compress.labels.store import Labels
    from compress.students.export import load_average

    state = checkpoint.load(folder)
    if state is None:
        raise EdgevoiceError(f"{folder} holds no checkpoint; train first")
    trained = make_task(read_recipe(recipe), "vocoder", Labels(labels))
    assert isinstance(trained, VocoderTask)
    student = load_average(trained.student(), state)
    said = Labels(reference)
    trained.labels = said
    theirs: list[NDArray[Any]] = []
    ours: list[NDArray[Any]] = []
    for index in range(min(count, len(said))):
        inputs = trained.drive(index, 0, said.entries[index].frames)
        with torch.no_grad():
            tensors = {name: torch.from_numpy(value)[None] for name, value in inputs.items()}
            ours.append(trained.overlap_add(student(**tensors))[0].numpy())
        theirs.append(said.read(index, ["audio"])["audio"].astype(np.float32) * trained.scale)
    figures = compare(theirs, ours, said.info.sample_rate, groups).figures
    return {
        "step": state["step"],
        "seconds": round(state["seconds"]),
        "sentences": len(ours),
        "figures": {name: figure.json() for name, figure in figures.items()},
    }


def run(
    recipe: Annotated[Path, typer.Argument(help="the recipe that the run was trained by")],
    labels: Annotated[Path, typer.Argument(help="the labels that it was trained on")],
    folder: Annotated[Path, typer.Argument(help="the run's folder")],
    reference: Annotated[Path, typer.Argument(help="the teacher's answers to held-out sentences")],
    count: Annotated[int, typer.Option(help="sentences")] = 50,
    groups: Annotated[str, typer.Option(help="measures, with commas between")] = "spectral,dnsmos",
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
) -> None:
    """Print the measures, and keep them beside the checkpoint."""
    import torch

    torch.set_num_threads(threads)
    result = evaluate(recipe, labels, folder, reference, count, groups.split(","))
    line = json.dumps(result)
    with (folder / "evaluations.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line)


if __name__ == "__main__":
    try:
        typer.run(run)
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
