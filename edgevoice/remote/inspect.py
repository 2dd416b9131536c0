"""Ask a device what is installed there, and let it go back; its own edgevoice does it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from edgevoice.deploy.listing import Release, Status
from edgevoice.errors import EdgevoiceError
from edgevoice.remote.deploy import parsed
from edgevoice.remote.ssh import LONG_SECONDS, LineLost, Refused, Session, Ssh
from edgevoice.remote.target import Host

T = TypeVar("T")


def releases(host: Host, ssh: Ssh) -> list[Release]:
    """All releases that are installed on ``host``."""
    return _convert(run(host, ssh, "releases"), list[Release], host)


def status(host: Host, ssh: Ssh) -> Status:
    """What speaks on ``host``, and what a rollback would return to."""
    return _convert(run(host, ssh, "status"), Status, host)


def rollback(host: Host, ssh: Ssh, arguments: list[str]) -> Release:
    """Let the previous release speak again, or the one that ``arguments`` names."""
    return _convert(run(host, ssh, "rollback", arguments), Release, host)


def run(host: Host, ssh: Ssh, verb: str, arguments: list[str] | None = None) -> Any:
    """The JSON that ``edgevoice VERB ROOT ... --json`` prints on the device."""
    with Session(host, ssh) as session:
        try:
            words = [*(arguments or []), "--json"]
            done = session.ask("run", seconds=LONG_SECONDS, root=host.root, verb=verb, arguments=words)
        except Refused as refused:
            raise EdgevoiceError(f"{host}: {refused}") from None
        except LineLost as lost:
            raise EdgevoiceError(f"{lost} while it ran `{verb}`: ask `edgevoice status {host}`") from None
    return parsed(done, host)


def _convert(answer: Any, kind: type[T], host: Host) -> T:
    try:
        return msgspec.convert(answer, kind, dec_hook=lambda wanted, value: wanted(value))  # paths
    except msgspec.ValidationError as error:
        raise EdgevoiceError(
            f"{host} answers in a way that is not understood ({error}): deploy again"
        ) from None
