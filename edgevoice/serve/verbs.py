"""The verbs `serve` and `unit`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

Threads = Annotated[
    Optional[int],  # noqa: UP045 - typer reads annotations at run time, on Python 3.10 too
    typer.Option("--threads", help="Threads for the voice; default: the CPUs this process may use."),
]
Group = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--group", help="Whose members may speak too; default: only the service's own user."),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(serve)
    app.command()(unit)


def serve(
    voice: Annotated[Path, typer.Argument(help="A deployed folder or a bundle.")],
    socket: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--socket", help="Where to listen; default: run/voice.sock in the deployed folder."),
    ] = None,
    group: Group = None,
    threads: Threads = None,
    require: Annotated[
        str, typer.Option("--require", help="tensorrt: speak with TensorRT or not at all.", metavar="ENGINE")
    ] = "",
) -> None:
    """Hold the voice loaded and speak what arrives on a Unix socket.

    SIGTERM lets it finish what is being said; SIGHUP takes up the release that is current now.
    """
    from edgevoice.options import required
    from edgevoice.serve.service import Settings
    from edgevoice.serve.service import serve as run

    settings = Settings(voice, socket, group, threads, required(require))
    run(settings, lambda text: print(text, file=sys.stderr, flush=True))


def unit(
    root: Annotated[Path, typer.Argument(help="The deployed folder.")],
    user: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--user", help="Who runs it; default: a user that systemd makes for it alone."),
    ] = None,
    group: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--group", help="Whose members may speak too; default: that of the folder's owner."),
    ] = None,
    threads: Threads = None,
    output: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--output", "-o", help="A file; default: standard output."),
    ] = None,
) -> None:
    """Print a systemd unit for the service of a deployed folder, with as few rights as it needs."""
    from edgevoice.serve.unit import Wanted, write

    write(Wanted(root, user, group, threads), output, lambda text: print(f"note: {text}", file=sys.stderr))
