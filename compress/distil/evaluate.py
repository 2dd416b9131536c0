"""``python -m compress.distil.evaluate RECIPE LABELS RUN REFERENCE``: students against their teacher.

REFERENCE holds the teacher's answers to held-out sentences (``python -m compress.labels TEACHER REFERENCE
--held-out``). ``--stages`` names the stages that students take over; RUN is the folder that holds a run for
each (``RUN/vocoder``, ``RUN/acoustic``, ...), or for one stage its run itself; ``finish`` is the vocoder
after its finish. Durations and noise are the teacher's own. Each call adds a line to ``evaluations.jsonl`` in
RUN: the curve of quality against training time, whose ``step`` and ``seconds`` are sums over the stages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Optional

import numpy as np
import typer
from numpy.typing import NDArray

from compress.command import one_line
from compress.distil.config import read_recipe

NAME = "evaluations.jsonl"


def evaluate(
    recipe: Path,
    labels: Path,
    folder: Path,
    reference: Path,
    count: int,
    groups: list[str],
    stages: list[str],
    teacher: Path | None = None,
) -> dict[str, Any]:
    """Measures of the runs' averaged weights over the first ``count`` utterances, with intervals."""
    from calibration.measures import compare
    from compress.distil import trained
    from compress.distil.chain import make_chain
    from compress.distil.tasks import make_task
    from compress.labels.store import Labels
    from compress.labels.teacher import require_teacher
    from compress.teachers import maker_of, read

    config, seen, said = read_recipe(recipe), Labels(labels), Labels(reference)
    voice = read(teacher) if teacher else None
    runs = {stage: _run(folder, stage) for stage in stages}
    tasks = {stage: make_task(config, stage, seen, voice, run) for stage, run in runs.items()}
    found = {stage: trained.from_run(task, stage, runs[stage]) for stage, task in tasks.items()}
    if voice is not None:
        require_teacher(said, maker_of(voice)())
    students = {one.stage: one.student for one in found.values()}
    vocoder = tasks.get("finish") or tasks.get("vocoder")
    chain = make_chain(students, said, voice, getattr(vocoder, "basis", None))
    numbers = range(min(count, len(said)))
    scale = np.float32(said.info.full_scale / 32767.0)
    theirs = [said.read(index, ["audio"])["audio"].astype(np.float32) * scale for index in numbers]
    ours = [chain.say(index) for index in numbers]
    texts = [said.entries[index].text for index in numbers]
    figures = compare(theirs, ours, said.info.sample_rate, groups, texts).figures
    figures = {**figures, **_timing(chain, said, numbers)}
    return {
        "stages": {stage: vars(one.card) for stage, one in found.items()},
        "step": sum(one.card.steps for one in found.values()),
        "seconds": round(sum(one.card.seconds for one in found.values())),
        "sentences": len(ours),
        "figures": {name: figure.json() for name, figure in figures.items()},
    }


def _run(folder: Path, stage: str) -> Path:
    from compress.distil import checkpoint

    return folder if (folder / checkpoint.NAME).exists() else folder / stage


def _timing(chain: Any, said: Any, numbers: range) -> Mapping[str, Any]:
    """How far the student's own durations, which are not heard here, are from the teacher's."""
    from calibration.measures import duration_error, mean
    from compress.distil.pace import rule_of

    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for index in numbers:
        own = chain.durations(index)
        if own is not None:
            pairs.append((said.read(index, ["durations"])["durations"], own))
    if not pairs:
        return {}
    rows = [duration_error(theirs, ours, rule_of(said)).figures() for theirs, ours in pairs]
    return {name: mean([row[name] for row in rows]) for name in rows[0]}


def run(
    recipe: Annotated[Path, typer.Argument(help="the recipe that the runs were trained by")],
    labels: Annotated[Path, typer.Argument(help="the labels that they were trained on")],
    folder: Annotated[Path, typer.Argument(help="the folder of the runs, or one run's folder")],
    reference: Annotated[Path, typer.Argument(help="the teacher's answers to held-out sentences")],
    stages: Annotated[str, typer.Option(help="stages that are students, with commas between")] = "vocoder",
    teacher: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="the voice, where one of its stages comes after a student"),
    ] = None,
    count: Annotated[int, typer.Option(help="sentences")] = 50,
    groups: Annotated[str, typer.Option(help="measures, with commas between")] = "spectral,dnsmos",
    threads: Annotated[int, typer.Option(help="CPU threads")] = 1,
) -> None:
    """Print the measures, and keep them beside the runs."""
    import torch

    from calibration.measures.compare import require

    measures, replaced = groups.split(","), stages.split(",")
    require(measures)
    torch.set_num_threads(threads)
    result = evaluate(recipe, labels, folder, reference, count, measures, replaced, teacher)
    line = json.dumps(result)
    with (folder / NAME).open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line)


if __name__ == "__main__":
    with one_line():
        typer.run(run)
