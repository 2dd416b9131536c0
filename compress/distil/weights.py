"""Averaged weights in one small file that needs neither labels nor recipe to become a student again.

``python -m compress.distil.weights save RUN -o FILE.safetensors`` keeps a run's averaged weights in FP16;
``pace FILE LABELS`` gives a file that was kept without it its teacher's pace; ``show FILE`` prints what the
file says of itself: stage, network, recipe, steps, seconds, labels, loss curve.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, Optional

import torch
import typer
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from compress.command import one_line
from compress.distil import checkpoint, network, trained
from compress.distil.config import DistilConfig
from compress.distil.pace import keep_pace
from compress.distil.tasks import STAGES, make_task
from compress.distil.trained import Card, Trained
from compress.labels.store import Labels, write_atomically
from compress.staged import StagedVoice
from compress.teachers import read as read_voice
from compress.tensor_file import in_order
from edgevoice.errors import EdgevoiceError

FORMAT = "1"
CURVE_POINTS = 100
SUFFIX = ".safetensors"


def save(path: Path, kept: Trained, table: dict[str, Any], curve: list[list[float]]) -> None:
    """Write a student's weights; ``table``: its recipe table, ``curve``: rows of step, seconds and loss."""
    tensors = {name: value.detach().half().contiguous() for name, value in kept.student.state_dict().items()}
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise EdgevoiceError(
            f"{broken[0]} of the {kept.stage} is no FP16 number; go back to a checkpoint before"
        )
    described = {
        "network": network.describe(kept.student),
        "card": vars(kept.card),
        "table": table,
        "curve": curve,
    }
    header = {name: json.dumps(value) for name, value in described.items()}
    data = to_bytes(tensors, {"format": FORMAT, "stage": kept.stage, **header})
    write_atomically(path, in_order(data))


def header(path: Path) -> dict[str, Any]:
    """What the file says of itself."""
    try:
        with safe_open(path, "pt") as file:
            raw = dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise EdgevoiceError(
            f"{path} is no whole file of weights ({error}): save or fetch it again"
        ) from None
    if raw.get("format") != FORMAT:
        raise EdgevoiceError(f"{path} is no file of a student's weights that this edgevoice reads")
    try:
        rest = {name: json.loads(raw[name]) for name in ("network", "card", "table", "curve")}
        return {"stage": raw["stage"], **rest, "card": Card(**rest["card"])}
    except (KeyError, TypeError, ValueError) as error:
        raise EdgevoiceError(f"{path} is damaged in its header ({error}): save or fetch it again") from None


def read(path: Path, stage: str) -> Trained:
    """The student that the file holds, which must be one of ``stage``."""
    found, tensors = header(path), _tensors(path)
    if found["stage"] != stage:
        raise EdgevoiceError(f"{path} holds the {found['stage']}, not the {stage}")
    try:
        student = network.build(found["network"])
        student.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise EdgevoiceError(f"{path} holds a network that this edgevoice does not know ({reason})") from None
    return Trained(stage, student.eval(), found["card"])


def start(path: Path, stage: str) -> checkpoint.Start:
    """The file as what a run of ``stage`` starts from."""
    found = header(path)
    if found["stage"] != stage:
        raise EdgevoiceError(f"{path} holds the {found['stage']}, not the {stage}")
    card: Card = found["card"]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return checkpoint.Start(str(path), digest, _tensors(path), card.steps, card.seconds)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118


def losses(folder: Path) -> list[list[float]]:
    """Step, seconds and loss from a run's ``curve.csv``, thinned; empty where it has none yet."""
    path = folder / "curve.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["term"] == "loss"]
    every = max(1, len(rows) // CURVE_POINTS)
    return [[int(row["step"]), float(row["seconds"]), float(row["mean"])] for row in rows[::-every][::-1]]


app = typer.Typer(add_completion=False)


@app.command("save")
def save_run(
    run: Annotated[Path, typer.Argument(help="a run's folder, with its checkpoint")],
    out: Annotated[Path, typer.Option("-o", "--out", help="the file to write, FILE.safetensors")],
    recipe: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="name or file; else each shipped one is tried"),
    ] = None,
    stage: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="the run's stage, if its folder is not named so"),
    ] = None,
    labels: Annotated[Optional[Path], typer.Option(help="its labels, if not beside it in `labels`")] = None,  # noqa: UP045
    voice: Annotated[Optional[Path], typer.Option(help="the teacher, if the recipe prunes it")] = None,  # noqa: UP045
) -> None:
    """Keep a run's averaged weights in FP16."""
    name = stage or run.resolve().name
    if name not in STAGES:
        raise EdgevoiceError(
            f"{run} is not named after a stage: name it with --stage, one of {', '.join(STAGES)}"
        )
    seen = Labels(labels or run.resolve().parent / "labels")
    kept, table = _found(run, name, recipe, seen, read_voice(voice) if voice else None)
    save(out, kept, table, losses(run))
    card = kept.card
    print(
        f"{out}: {name}, {card.steps} steps, {card.seconds / 3600:.1f} h, {out.stat().st_size / 1e6:.1f} MB"
    )


def _found(
    run: Path, stage: str, recipe: str | None, labels: Labels, voice: StagedVoice | None
) -> tuple[Trained, dict[str, Any]]:
    from compress import recipe as recipes

    if checkpoint.load(run) is None:
        raise EdgevoiceError(f"{run} holds no checkpoint; train the {stage} first")
    refused = EdgevoiceError(
        f"{run} belongs to no recipe that comes with edgevoice: name its own with --recipe, "
        "and with --voice the teacher that it prunes"
    )
    for name in [recipe] if recipe else recipes.names():
        config = recipes.load(name).students()
        try:
            task = make_task(config or DistilConfig(), stage, labels, voice, run)
            return trained.from_run(task, stage, run), getattr(task, "table", asdict(task.stage))
        except EdgevoiceError as error:
            refused = error if recipe else refused
    raise refused


@app.command()
def pace(
    file: Annotated[Path, typer.Argument(help="weights with durations")],
    labels: Annotated[Path, typer.Argument(help="the labels that it was trained on")],
) -> None:
    """Make labelled sentences as long as the teacher's (what `save` does by itself)."""
    found, seen = header(file), Labels(labels)
    if found["card"].labels != seen.info.key:
        raise EdgevoiceError(f"{labels} holds other labels than {file} was trained on")
    kept = read(file, found["stage"])
    factor = keep_pace(kept.stage, kept.student, seen)
    card = replace(kept.card, pace=kept.card.pace * factor)
    save(file, replace(kept, card=card), found["table"], found["curve"])
    print(f"{file}: durations times {factor:.4f}")


@app.command()
def show(file: Annotated[Path, typer.Argument(help="a file of weights")]) -> None:
    """Print what a file of weights says of itself, as JSON."""
    found = header(file)
    print(json.dumps({**found, "card": vars(found["card"])}, indent=1))


if __name__ == "__main__":
    with one_line():
        app()
