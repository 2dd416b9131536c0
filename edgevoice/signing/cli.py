"""The verbs `sign` and `keys`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Optional

import typer

FolderArgument = Annotated[Path, typer.Argument(metavar="ROOT", help="The deployed folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Also where the release that speaks would not start again.")
]

keys = typer.Typer(help="The keys that a device trusts.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    app.command()(sign)
    app.add_typer(keys, name="keys")


def sign(
    bundle: Annotated[Path, typer.Argument(help="The bundle.")],
    key: Annotated[
        Path, typer.Option("--key", help="An Ed25519 private key; or KEY.pub, and ssh-agent signs.")
    ],
    serial: Annotated[
        Optional[int],  # noqa: UP045 - typer reads annotations at run time, on Python 3.10 too
        typer.Option("--serial", min=1, help="Higher with each release: devices take no older one."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a bundle: devices that trust the key take it, and find it altered if it was."""
    from edgevoice.signing.sign import sign as make

    done = make(bundle, key, serial)
    number = f", serial {done.serial}" if done.serial else ""
    _print(asdict(done), as_json, f"{bundle} is signed by {done.fingerprint}{number}")


@keys.command()
def trust(
    root: FolderArgument,
    key: Annotated[str, typer.Argument(metavar="KEY.pub", help="A public key's file; - is standard input.")],
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Trust a public key; from the first one on the device takes nothing unsigned."""
    from edgevoice.signing import public
    from edgevoice.signing.trust import trust as add

    found = public.parse(_stdin(), "standard input") if key == "-" else public.read(Path(key))
    done = add(root, found, force)
    _print(asdict(done), as_json, f"{root} trusts {done.fingerprint}{'' if done.changed else ' already'}")


@keys.command("list")
def listed(root: FolderArgument, as_json: JsonOption = False) -> None:
    """List the keys that a device knows."""
    from edgevoice.signing.trust import known

    rows = known(root)
    lines = [f"{row.fingerprint}  {'trusted' if row.trusted else 'revoked'}  {row.comment}" for row in rows]
    text = "\n".join(map(str.rstrip, lines)) or f"{root} trusts no key and takes unsigned bundles"
    _print([asdict(row) for row in rows], as_json, text)


@keys.command()
def revoke(
    root: FolderArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="KEY.pub, or a fingerprint or its beginning.")],
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Trust a key never again."""
    from edgevoice.signing import public
    from edgevoice.signing.trust import revoke as remove

    which = public.read(Path(key)) if Path(key).exists() or key.endswith(".pub") else key
    done = remove(root, which, force)
    said = "trusts {} no longer" if done.changed else "did not trust {} already"
    _print(asdict(done), as_json, f"{root} {said.format(done.fingerprint)}; {done.trusted} left")


def _stdin() -> bytes:
    return sys.stdin.buffer.read(1 << 16) if sys.stdin is not None else b""


def _print(document: object, as_json: bool, text: str) -> None:
    print(json.dumps(document, indent=1, default=str) if as_json else text)
