"""``python -m compress.labels TEACHER OUT``: label the built-in texts, or a user's own."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path
from typing import Annotated, Optional

import typer

from compress.command import one_line
from compress.labels.make import label
from compress.teachers import maker
from compress.texts import source


def run(
    teacher: Annotated[str, typer.Argument(help="kokoro, or a Piper voice's ONNX file")],
    out: Annotated[Path, typer.Argument(help="folder of the label shards")],
    count: Annotated[int, typer.Option(help="sentences in all")] = 6000,
    texts: Annotated[Optional[Path], typer.Option(help="a text file, one sentence a line")] = None,  # noqa: UP045
    held_out: Annotated[bool, typer.Option(help="the evaluation sentences, never for training")] = False,
    with_audio: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(
            min=0, help="make the audio, which only a vocoder learns from, of so many (default: all)"
        ),
    ] = None,
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
    made = label(maker(teacher), sentences, name, out, jobs, with_audio)
    print(f"{made} shards made; {out} is complete for {len(sentences)} sentences")


if __name__ == "__main__":
    with one_line():
        typer.run(run)
