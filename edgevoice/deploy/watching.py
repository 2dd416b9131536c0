"""How a running service takes part in a deploy or a rollback, and the options that say so."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Optional

import typer

from edgevoice.errors import EdgevoiceError


@dataclass(frozen=True)
class Watch:
    """How the service takes part.

    ``wanted``: None, if one runs; True, there must be one; False, leave it alone. ``seconds``: the health
    window. ``restart``: a command that restarts it (or starts it); without one it is asked to reload.
    ``socket``: where it listens, if not in the folder's own places. ``start_seconds``: it must speak by then.
    """

    wanted: bool | None = None
    seconds: float = 5.0
    restart: tuple[str, ...] = ()
    socket: Path | None = None
    start_seconds: float = 60.0


BY_ITSELF = Watch()

Service = Annotated[
    Optional[bool],  # noqa: UP045 - typer reads annotations at run time, on Python 3.10 too
    typer.Option(
        "--service/--no-service",
        help="A service that runs for the folder takes it up; --service: one must run; --no-service: not it.",
        show_default=False,
    ),
]
Health = Annotated[
    float,
    typer.Option("--health", min=0, max=3600, help="Seconds that the service must stay up with the release."),
]
Restart = Annotated[
    str, typer.Option("--restart", help='What restarts the service: "systemctl restart edgevoice".')
]
Socket = Annotated[
    Optional[Path],  # noqa: UP045
    typer.Option("--socket", help="Where the service listens, if not in the deployed folder's own place."),
]


def watch(service: bool | None, restart: str, socket: Path | None, health: float = 0.0) -> Watch:
    """Raises `EdgevoiceError` for a command that is none."""
    try:
        return Watch(service, health, tuple(shlex.split(restart)), socket)
    except ValueError as error:
        raise EdgevoiceError(f"--restart {restart!r} is no command: {error}") from None


def words(wanted: Watch) -> list[str]:
    """The same for the command line of a device's own edgevoice; nothing where nothing was asked for."""
    said = {True: ["--service"], False: ["--no-service"], None: []}[wanted.wanted]
    said += ["--restart", shlex.join(wanted.restart)] if wanted.restart else []
    said += ["--socket", str(wanted.socket)] if wanted.socket else []
    return said + (["--health", f"{wanted.seconds:g}"] if wanted.seconds != Watch.seconds else [])


def note(text: str) -> None:
    """Tell the user what speaks after an interruption."""
    print(f"note: {text}", file=sys.stderr)
