"""Let a device's own edgevoice answer: what is installed there, what speaks; or go back."""

from __future__ import annotations

from edgevoice.errors import EdgevoiceError
from edgevoice.remote.deploy import failure
from edgevoice.remote.ssh import LONG_SECONDS, LineLost, Refused, Session, Ssh
from edgevoice.remote.target import Host


def run(host: Host, ssh: Ssh, verb: str, *arguments: str) -> str:
    """What ``edgevoice VERB ROOT ARGUMENTS`` prints on ``host``. Raises `EdgevoiceError` where it fails."""
    with Session(host, ssh) as session:
        try:
            done = session.ask("run", seconds=LONG_SECONDS, root=host.root, verb=verb, arguments=arguments)
        except Refused as refused:
            raise EdgevoiceError(f"{host}: {refused}") from None
        except LineLost as lost:
            raise EdgevoiceError(f"{lost} while it ran `{verb}`: ask `edgevoice status {host}`") from None
    if done["status"]:
        raise EdgevoiceError(f"{host}: {failure(done)}")
    return str(done["output"])
