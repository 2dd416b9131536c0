"""``python -m compress.labels TEACHER OUT``: label the built-in texts, or a user's own."""

from __future__ import annotations

import hashlib
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Optional

import typer

from compress.command import one_line
from compress.labels.make import MakeTeacher, label
from compress.texts import source
from edgevoice.errors import EdgevoiceError


def teacher_maker(name: str) -> MakeTeacher:
    """``kokoro``, or the path of a Piper voice's ONNX file."""
    if name.startswith("kokoro"):
        from compress.teachers.kokoro import kokoro_teacher

        return kokoro_teacher
    path = Path(name)
    if not path.exists():
        raise EdgevoiceError(f"there is no teacher {name}; name kokoro or the ONNX file of a Piper voice")
    from compress.teachers.staged import piper_teacher

    make: MakeTeacher = partial(piper_teacher, path)
    return make


def run(
    teacher: Annotated[str, typer.Argument(help="kokoro, or a Piper voice's ONNX file")],
    out: Annotated[Path, typer.Argument(help="folder of the label shards")],
    count: Annotated[int, typer.Option(help="sentences in all")] = 6000,
    texts: Annotated[Optional[Path], typer.Option(help="a text file, one sentence a line")] = None,  # noqa: UP045
    held_out: Annotated[bool, typer.Option(help="the evaluation sentences, never for training")] = False,
    jobs: Annotated[int, typer.Option(help="processes, one core each")] = 1,
) -> None:
    """Make what is missing of the labels in OUT."""
    if held_out:
        sentences, name = source.held_out()[:count], "held-out"
    elif texts is None:
        sentences, name = list(islice(source.training(), count)), f"training-1-{source.revision()}"
    else:
        sentences = source.from_file(texts)[:count]
        name = hashlib.sha256("\n".join(sentences).encode()).hexdigest()
    made = label(teacher_maker(teacher), sentences, name, out, jobs)
    print(f"{made} shards made; {out} is complete for {len(sentences)} sentences")


if __name__ == "__main__":
    with one_line():
        typer.run(run)
