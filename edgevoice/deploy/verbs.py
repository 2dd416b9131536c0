"""The verbs that put a release somewhere and look after it: into a folder here, or over SSH."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any, Optional

import msgspec
import typer

from edgevoice.deploy import watching
from edgevoice.deploy.watching import Watch
from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish, required
from edgevoice.remote.target import Host, parse
from edgevoice.serve import client

MEBI = 1 << 20

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
PlaceArgument = Annotated[
    str, typer.Argument(help="The deployed folder: a path, USER@HOST or USER@HOST:FOLDER.")
]
PortOption = Annotated[
    Optional[int],  # noqa: UP045 - typer reads annotations at run time, on Python 3.10 too
    typer.Option("--port", help="The host's port for SSH.", min=1, max=65535),
]
SshOption = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option("--ssh-option", help="As after `ssh -o`; may be repeated."),
]
PythonOption = Annotated[str, typer.Option("--python", help="The host's Python interpreter.")]


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    for verb in (deploy, releases, rollback, status):
        app.command()(verb)


def deploy(
    bundle: Annotated[str, typer.Argument(help="The bundle; kokoro is edgevoice's own voice.")],
    place: Annotated[
        str,
        typer.Argument(
            help="Where to: a folder, USER@HOST, USER@HOST:FOLDER, or ssh://USER@HOST:PORT/FOLDER."
        ),
    ],
    keep: Annotated[int, typer.Option("--keep", min=2, help="Releases that stay.")] = 3,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Host: look at it, say what stands against a deploy, change nothing."),
    ] = False,
    target: Annotated[
        str,
        typer.Option("--target", help="Host: hold the bundle against this device; default: its own target."),
    ] = "",
    kit: Annotated[str, typer.Option("--kit", help="Host: the kit to install; default: one is made.")] = "",
    keep_runtime: Annotated[
        bool,
        typer.Option("--keep-runtime", help="Host: send the bundle alone; edgevoice there stays as it is."),
    ] = False,
    limit_rate: Annotated[
        str, typer.Option("--limit-rate", help="Host: bytes a second at most, such as 500k or 2M.")
    ] = "",
    service: watching.Service = None,
    health: watching.Health = Watch.seconds,
    restart: watching.Restart = "",
    socket: watching.Socket = None,
    allow_older: Annotated[
        bool,
        typer.Option("--allow-older", help="Also a signed bundle with a lower serial than one before it."),
    ] = False,
    require: Annotated[
        str,
        typer.Option(
            "--require",
            help="tensorrt: refuse a release that would not speak with TensorRT there.",
            metavar="ENGINE",
        ),
    ] = "",
    port: PortOption = None,
    ssh_option: SshOption = None,
    python: PythonOption = "python3",
    as_json: JsonOption = False,
) -> None:
    """Install a bundle in a folder or on a host: staged, checked, heard, switched to; the old one is kept.

    A service that runs for the folder takes it up; if it fails there, the old release speaks again.
    """
    watch = watching.watch(service, restart, socket, health)
    engine = required(require)
    host = parse(place)
    if host is None:
        given = {
            "--dry-run": dry_run,
            "--kit": kit,
            "--keep-runtime": keep_runtime,
            "--limit-rate": limit_rate,
        }
        given |= {"--target": target, "--port": port, "--ssh-option": ssh_option}
        _refuse_for_a_folder(place, given)
        _deploy_here(bundle, place, keep, allow_older, watch, engine, as_json)
        return
    from edgevoice.remote import deploy as remote
    from edgevoice.remote import transfer

    arguments = ["--keep", str(keep), *(["--allow-older"] if allow_older else []), *watching.words(watch)]
    arguments += ["--require", engine] if engine else []
    options = remote.Options(target, kit, keep_runtime, transfer.parse_rate(limit_rate), arguments, engine)
    _deploy_there(bundle, host, _ssh(port, ssh_option, python), options, dry_run, as_json)


def _deploy_there(bundle: str, host: Host, ssh: Any, options: Any, dry_run: bool, as_json: bool) -> None:
    from edgevoice.remote.deploy import deploy as send

    done = send(bundle, host, ssh, options, dry_run, watching.note)
    if as_json:
        _print(done.to_dict())
        return
    for finding in done.findings:
        print(finding, file=sys.stderr)
    _print(_looked(done) if dry_run else _told(done))


def _deploy_here(
    bundle: str, folder: str, keep: int, allow_older: bool, watch: Watch, engine: Wish, as_json: bool
) -> None:
    from edgevoice.deploy.health import deploy_with_service

    done = deploy_with_service(
        bundle,
        folder,
        keep=keep,
        watch=watch,
        allow_older=allow_older,
        engine=engine,
        note=watching.note,
    )
    if as_json:
        _print(asdict(done))
        return
    if done.remark:
        watching.note(done.remark)
    _print(f"{folder} speaks with {done.release.voice} (release {done.release.name}); {_copied(done)}")


def _copied(done: Any) -> str:
    copied, shared = (f"{count / MEBI:.1f} MiB" for count in (done.copied_bytes, done.linked_bytes))
    if not done.copied_bytes and not done.linked_bytes:
        return "it was installed already: checked and heard, nothing copied"
    return f"{copied} copied" + (f", {shared} shared with an older release" if done.linked_bytes else "")


def _refuse_for_a_folder(place: str, given: dict[str, Any]) -> None:
    for name, value in given.items():
        if value:
            raise EdgevoiceError(
                f"{name} is for a host, and {place} is a folder: leave it out, or name USER@HOST"
            )


def _looked(done: Any) -> str:
    from edgevoice.remote.preflight import describe

    rows = [f"{name:10}{text}" for name, text in describe(done.facts)]
    lacking = ", ".join(done.sent) or "nothing"
    return "\n".join([*rows, f"{'to send':10}{lacking} (and edgevoice itself where it is another)"])


def _told(done: Any) -> str:
    if done.sent_bytes:
        names = ", ".join(name for name in done.sent if not name.endswith(".whl"))
        wheels = sum(name.endswith(".whl") for name in done.sent)
        sent = f"{done.sent_bytes / MEBI:.1f} MiB sent ({names}{f', {wheels} wheels' if wheels else ''})"
    else:
        sent = "nothing was sent: all of it was there"
    return f"{done.host} speaks with {done.voice} (release {done.release}); {sent}"


def releases(
    place: PlaceArgument,
    port: PortOption = None,
    ssh_option: SshOption = None,
    python: PythonOption = "python3",
    as_json: JsonOption = False,
) -> None:
    """List the releases in a deployed folder, here or on a host."""
    if host := parse(place):
        _forward(host, _ssh(port, ssh_option, python), "releases", as_json)
        return
    from edgevoice.deploy.listing import releases as installed

    rows = installed(place)
    if as_json:
        _print([asdict(row) for row in rows])
        return
    for row in rows:
        mark = "speaks" if row.current else "previous" if row.previous else ""
        _print(f"{row.name}  {mark:9}{row.voice}  {row.problem}".rstrip())


def rollback(
    place: PlaceArgument,
    to: Annotated[str, typer.Option("--to", help="The release's name or its beginning.")] = "",
    service: watching.Service = None,
    restart: watching.Restart = "",
    socket: watching.Socket = None,
    port: PortOption = None,
    ssh_option: SshOption = None,
    python: PythonOption = "python3",
    as_json: JsonOption = False,
) -> None:
    """Let the previous release speak again, here or on a host, in the service that runs for it too."""
    watch = watching.watch(service, restart, socket, Watch.seconds)
    if host := parse(place):
        words = [*(["--to", to] if to else []), *watching.words(watch)]
        _forward(host, _ssh(port, ssh_option, python), "rollback", as_json, *words)
        return
    from edgevoice.deploy.health import rollback_with_service

    release = rollback_with_service(place, to or None, watch)
    _print(asdict(release) if as_json else f"{place} speaks with {release.voice} (release {release.name})")


def status(
    place: PlaceArgument,
    socket: watching.Socket = None,
    port: PortOption = None,
    ssh_option: SshOption = None,
    python: PythonOption = "python3",
    as_json: JsonOption = False,
) -> None:
    """Say what speaks in a deployed folder, here or on a host, where a rollback goes, what a service does."""
    if host := parse(place):
        words = ["--socket", str(socket)] if socket else []
        _forward(host, _ssh(port, ssh_option, python), "status", as_json, *words)
        return
    from edgevoice.deploy.listing import status as look

    found, service = look(place), client.report(place, socket)
    if as_json:
        _print({**asdict(found), "service": service.to_dict()})
        return
    for name, release in (("speaks", found.current), ("previous", found.previous)):
        _print(f"{name:10}{f'{release.name}  {release.voice}' if release else 'none'}")
    if found.left:
        _print(f"{'also there':10} {', '.join(found.left)} (`edgevoice rollback {place} --to NAME`)")
    _print(f"{'service':10}{service}")
    running = "; a deploy is running" if found.deploying else ""
    _print(f"{'free':10}{found.free_bytes / (1 << 30):.1f} GiB{running}")


def _forward(host: Host, ssh: Any, verb: str, as_json: bool, *words: str) -> None:
    """What the device's own edgevoice prints is what is printed here."""
    from edgevoice.remote import inspect

    _print(inspect.run(host, ssh, verb, *words, *(["--json"] if as_json else [])).rstrip("\n"))


def _ssh(port: int | None, options: list[str] | None, python: str) -> Any:
    from edgevoice.remote.ssh import Ssh

    return Ssh(tuple(options or ()), port, python)


def _print(value: Any) -> None:
    print(value if isinstance(value, str) else json.dumps(value, indent=1, default=_plain))


def _plain(value: Any) -> Any:
    return msgspec.structs.asdict(value) if isinstance(value, msgspec.Struct) else str(value)
