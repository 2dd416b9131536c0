"""The verb that makes a kit."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer

from edgevoice.kit.device import MACHINES, PYTHONS


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command()(kit)


def kit(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write; an older kit is replaced.")
    ],
    python: Annotated[
        str, typer.Option("--python", help=f"The device's Python: {', '.join(PYTHONS)}.")
    ] = "3.10",
    machine: Annotated[str, typer.Option("--machine", help=f"{' or '.join(MACHINES)}.")] = "aarch64",
    glibc: Annotated[
        str, typer.Option("--glibc", help="The device's C library; JetPack 6 has 2.35.")
    ] = "2.35",
    extra: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads annotations at run time, on Python 3.10 too
        typer.Option(
            "--extra", help="An extra of edgevoice's, such as espeak (GPL-3.0-or-later); may be repeated."
        ),
    ] = None,
    lock: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--lock", help="An earlier kit whose versions and hashes are taken, not the newest."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Gather what a device without a network needs to run edgevoice: wheels, pip, an installer."""
    from edgevoice.kit import make
    from edgevoice.kit.device import Device

    print(f"note: asking the package index for Python {python} on {machine}", file=sys.stderr)
    made = make.make(output, Device(python, machine, glibc), tuple(extra or ()), lock)
    if as_json:
        print(json.dumps(asdict(made), indent=1, default=str))
        return
    print(f"{made.path}: {len(made.wheels)} wheels, {made.bytes / (1 << 20):.1f} MiB, runtime {made.runtime}")
    print(f"On the device: python3 {made.path.name}/install.py FOLDER")
