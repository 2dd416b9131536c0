"""The verbs `pack`, `inspect` and `install`."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from edgevoice.deploy import watching
from edgevoice.deploy.watching import Watch

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
PackArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The pack.")]


def register(app: typer.Typer) -> None:
    for verb in (pack, inspect, install):
        app.command()(verb)


def pack(
    bundle: Annotated[Path, typer.Argument(help="The bundle; kokoro is edgevoice's own voice.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file, such as voice.edgevoice.")],
    kit: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads annotations at run time, on Python 3.10 too
        typer.Option("--kit", help="A kit: the device then needs only Python, and runs `python3 FILE ROOT`."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle as one file, for a stick or a web server."""
    from edgevoice.pack.make import pack as make

    done = make(bundle, output, kit)
    command = f"python3 {output.name}" if done.kit else f"edgevoice install {output.name}"
    state = "signed" if done.signed else "not signed"
    _print(
        asdict(done),
        as_json,
        f"{output}: {done.voice}, {_size(done.bytes)}, {state}. On the device: {command} ROOT",
    )


def inspect(file: PackArgument, as_json: JsonOption = False) -> None:
    """Check all of a pack and say what it holds."""
    from edgevoice.pack.install import contents

    with tempfile.TemporaryDirectory() as scratch:
        found = contents(file, Path(scratch))
    rows = {
        "voice": found.voice,
        "release": found.release[:16],
        "serial": found.serial or "none",
        "signed by": found.signer or "nobody",
        "runtime": "carries one" if found.kit else "none",
        "size": _size(found.bytes),
    }
    _print(asdict(found), as_json, "\n".join(f"{name:10}{value}" for name, value in rows.items()))


def install(
    file: PackArgument,
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="Where it is to be installed.")],
    keep: Annotated[int, typer.Option("--keep", min=2, help="Releases that stay.")] = 3,
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="Also a signed bundle with a lower serial than one before it."),
    ] = False,
    service: watching.Service = None,
    health: watching.Health = Watch.seconds,
    restart: watching.Restart = "",
    socket: watching.Socket = None,
    as_json: JsonOption = False,
) -> None:
    """Install a pack's bundle into a folder, checked as `deploy` does; a service that runs takes it up."""
    from edgevoice.deploy.health import deploy_with_service as deploy
    from edgevoice.pack.install import install as unpack

    watch = watching.watch(service, restart, socket, health)
    done = unpack(
        file,
        root,
        lambda found: deploy(
            found, root, watch=watch, keep=keep, allow_older=allow_older, note=watching.note
        ),
    )
    _print(asdict(done), as_json, f"{root} speaks with {done.release.voice} (release {done.release.name})")


def _size(count: int) -> str:
    return f"{count / (1 << 20):.1f} MiB"


def _print(document: Any, as_json: bool, text: str) -> None:
    print(json.dumps(document, indent=1, default=str) if as_json else text)
