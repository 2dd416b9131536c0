"""The verb `update`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgevoice.deploy import watching
from edgevoice.deploy.watching import Watch


def register(app: typer.Typer) -> None:
    app.command()(update)


def update(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="The deployed folder.")],
    keep: Annotated[int, typer.Option("--keep", min=2, help="Releases that stay.")] = 3,
    service: watching.Service = None,
    health: watching.Health = Watch.seconds,
    restart: watching.Restart = "",
    socket: watching.Socket = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Install what is newer at the source that ROOT/update.toml names; off without that file.

    A service that runs for the folder takes it up; if it fails there, the old release speaks again.
    """
    from edgevoice.deploy.health import deploy_with_service as deploy
    from edgevoice.update.update import update as look

    watch = watching.watch(service, restart, socket, health)
    found = look(root, lambda bundle: deploy(bundle, root, watch=watch, keep=keep, note=watching.note))
    if as_json:
        print(json.dumps(asdict(found), indent=1, default=str))
    elif found.done is None:
        print(f"nothing newer at {found.source}: {found.reason}")
    else:
        release = found.done.release
        print(f"{root} speaks with {release.voice} (release {release.name}), from {found.source}")
