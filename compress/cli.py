"""The verb `edgevoice compress`."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from edgevoice import install
from edgevoice.errors import EdgevoiceError


def register(app: typer.Typer) -> None:
    """Add this package's verbs to the command line."""
    app.command()(compress)


def compress(
    voice: Annotated[
        Path, typer.Argument(help="A Piper voice, NAME.onnx with NAME.onnx.json beside it, or kokoro.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The bundle's folder.")],
    target: Annotated[
        str, typer.Option("--target", help="A device of `edgevoice targets`, or a file.")
    ] = "cpu",
    recipe: Annotated[str, typer.Option("--recipe", help="A recipe's name, or a TOML file.")] = "quantize",
    texts: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--texts", help="Sentences to calibrate and judge on, one a line (needed unless English)."
        ),
    ] = None,
    allow_worse: Annotated[
        bool,
        typer.Option("--allow-worse", help="Keep what fails the gate; the manifest says what."),
    ] = False,
    training: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(
            "--training", help="Labels and runs of students, gone on with (default: OUTPUT.training)."
        ),
    ] = None,
    as_trained: Annotated[
        bool, typer.Option("--as-trained", help="Take the students of --training as they stand.")
    ] = False,
    weights: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--weights", help="Take students from this folder's STAGE.safetensors; train none."),
    ] = None,
    engines: Annotated[
        str, typer.Option("--engines", help="rtx: engines for the target's card too, by TensorRT for RTX.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Make a voice small for a device, and prove that it survived."""
    try:
        from compress import pipeline, summary
        from compress import recipe as recipes
        from compress.distilled import Origin
    except ModuleNotFoundError as error:
        mend = install.command("compress")
        raise EdgevoiceError(f"compress needs {error.name}, which is not installed: {mend}") from None
    from targets import load

    chosen, origin = recipes.load(recipe), Origin(training, as_trained, weights)
    if engines not in ("", "rtx"):
        raise EdgevoiceError(f"--engines knows rtx, not {engines!r}")
    typed = shlex.join(["edgevoice", *sys.argv[1:]])
    result = pipeline.compress(
        voice, load(target), chosen, output, texts, allow_worse, _say, origin, engines, typed
    )
    print(json.dumps(summary.to_dict(result), indent=1) if as_json else summary.table(result))


def _say(text: str) -> None:
    print(text, file=sys.stderr)
