"""Deploy a bundle to a device: look, send what it lacks, let its own edgevoice install it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from edgevoice import bundle
from edgevoice.bundle import MANIFEST
from edgevoice.deploy.layout import short
from edgevoice.errors import EdgevoiceError
from edgevoice.kit import install
from edgevoice.kit import make as kits
from edgevoice.kit.device import Device
from edgevoice.kit.make import Kit
from edgevoice.options import Wish
from edgevoice.remote import preflight, transfer
from edgevoice.remote.agent.store import SIGNATURE
from edgevoice.remote.preflight import Facts, Finding
from edgevoice.remote.ssh import LONG_SECONDS, LineLost, Refused, Session, Ssh
from edgevoice.remote.target import Host
from edgevoice.remote.transfer import Item
from edgevoice.runtime.find import find

SETTLE_SECONDS = 120.0
STOPPED_SECONDS = 3.0
"""Whoever stops a deploy by Ctrl-C waits no longer than this to hear what speaks."""

UNPACKED = 5
"""A runtime's size on disk, in sizes of its wheels: 4.2 were seen."""


@dataclass(frozen=True)
class Options:
    """``kit``: a folder instead of one that is made. ``keep_runtime``: take the device's own.

    ``rate``: bytes a second. ``engine``: what the release must speak with there, or empty. ``arguments``: for
    the device's own ``edgevoice deploy``.
    """

    target: str = ""
    kit: str = ""
    keep_runtime: bool = False
    rate: float | None = None
    arguments: list[str] = field(default_factory=list)
    engine: Wish = ""


@dataclass(frozen=True)
class Outcome:
    """What a deploy did, or would do. ``device``: what the device's own edgevoice answered."""

    host: str
    release: str
    voice: str
    runtime: str
    sent_bytes: int
    sent: list[str]
    findings: list[Finding]
    facts: Facts
    device: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "facts": msgspec.to_builtins(self.facts)}


def deploy(
    source: str | Path,
    host: Host,
    ssh: Ssh,
    options: Options,
    dry_run: bool = False,
    note: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Install the bundle at ``source`` on ``host``; ``dry_run`` stops after the preflight.

    Raises `EdgevoiceError` (`preflight.Unfit` with every problem); the device then speaks as before,
    unless the message says otherwise. An interruption goes through, and ``note`` is told what speaks.
    """
    read = bundle.read(find(source))
    given = kits.read(options.kit) if options.kit else None
    target = preflight.target_of(read.manifest, options.target)
    files = _bundle_items(read)
    with Session(host, ssh) as session:
        facts, arrived = _look(session, host, files)
        lacking = [item for item in files if item.sha256 not in arrived["have"]]
        missing = sum(item.bytes for item in lacking)
        findings = preflight.judge(facts, read.manifest, target, missing, time.time(), options.engine)
        findings += _kit_findings(given, facts, options.keep_runtime)
        if any(finding.fatal for finding in findings):
            raise preflight.Unfit(str(host), findings)
        if dry_run:
            return Outcome(
                str(host), _release(read), read.manifest.voice.name, "", 0, _names(lacking), findings, facts
            )
        kit = given
        if kit is None and not options.keep_runtime:
            device = Device("{}.{}".format(*facts.python), facts.machine, facts.glibc)
            kit = kits.at_hand(device, kits.extras_for(read.manifest.text.phonemizers))
        try:
            runtime, sent, items, answer = _carry_out(session, host, files, kit, facts, options)
        except LineLost as lost:
            raise EdgevoiceError(f"{lost}; {_afterwards(host, ssh, _release(read))}") from None
        except Refused as refused:
            raise EdgevoiceError(f"{host}: {refused}; {_speaks(facts.root.current)}") from None
        except (KeyboardInterrupt, SystemExit):
            session.close()  # which ends a transfer, but not what the device installs by itself
            note(f"{host}: {_afterwards(host, ssh, _release(read), STOPPED_SECONDS)}")
            raise
    voice = read.manifest.voice.name
    return Outcome(str(host), _release(read), voice, runtime, sent, _names(items), findings, facts, answer)


def _carry_out(
    session: Session, host: Host, files: list[Item], kit: Kit | None, facts: Facts, options: Options
) -> tuple[str, int, list[Item], dict[str, Any]]:
    """The runtime's name, the bytes and files that were sent, what the device's edgevoice answered."""
    new = kit if kit is not None and kit.runtime not in facts.root.runtimes else None
    wheels = _kit_items(new) if new else []
    items = [*files, *wheels]
    begun = session.ask("begin", root=host.root, wanted=[item.sha256 for item in items])
    lacking = _lacking(items, begun)
    _check_space(lacking, wheels, facts)
    sent = transfer.send(session, lacking, options.rate)
    if new:
        session.ask("install", seconds=LONG_SECONDS, files=_hashes(wheels))
    runtime = kit.runtime if kit else ""
    done = session.ask(
        "deploy", seconds=LONG_SECONDS, files=_hashes(files), runtime=runtime, arguments=options.arguments
    )
    return done["runtime"], sent, lacking, _parsed(done, host, f"{facts.root.path}/arriving/bundle")


def _parsed(done: dict[str, Any], host: Host, arrived: str) -> Any:
    """The JSON that the device's own edgevoice printed. Raises `EdgevoiceError` with its message."""
    if done["status"]:  # the user knows the bundle, not the folder that it arrived in
        raise EdgevoiceError(f"{host}: {failure(done).replace(arrived, 'the bundle')}")
    try:
        return json.loads(done["output"])
    except ValueError:
        raise EdgevoiceError(f"{host}: its edgevoice answered with something that is no JSON") from None


def failure(done: dict[str, Any]) -> str:
    """The one line that an edgevoice which failed left on standard error."""
    last = install.last_line(done["errors"].encode())
    return last.removeprefix("error: ") or f"its edgevoice ended with status {done['status']}"


def _bundle_items(read: bundle.Bundle) -> list[Item]:
    """The bundle's files, its manifest last; a signature travels beside it."""
    items = [Item(name, row.sha256, read.file(name), row.bytes) for name, row in read.manifest.files.items()]
    extra = [read.file(name) for name in (SIGNATURE, MANIFEST) if read.file(name).is_file()]
    return items + [_item(path) for path in extra]


def _kit_items(kit: Kit) -> list[Item]:
    wheels = [
        Item(name, sha256, kit.path / name, (kit.path / name).stat().st_size)
        for name, sha256 in kit.wheels.items()
    ]
    return [*wheels, _item(kit.path / install.LOCK)]


def _item(path: Path) -> Item:
    return Item(path.name, install.sha256(path), path, path.stat().st_size)


def _look(session: Session, host: Host, files: list[Item]) -> tuple[Facts, dict[str, Any]]:
    try:
        answer = session.ask("facts", root=host.root, wanted=[item.sha256 for item in files])
        return msgspec.convert(answer["facts"], Facts), answer
    except (LineLost, Refused) as error:
        raise EdgevoiceError(f"{host.address}: {error}; nothing was changed there") from None
    except msgspec.ValidationError as error:
        raise EdgevoiceError(f"{host.address} describes itself in an unknown way: {error}") from None


def _lacking(items: list[Item], begun: dict[str, Any]) -> list[Item]:
    """What must be sent, each file once, the rest of those that an interrupted deploy left."""
    unique = {item.sha256: item for item in items if item.sha256 not in begun["have"]}
    return [replace(item, arrived=begun["parts"].get(sha256, 0)) for sha256, item in unique.items()]


def _check_space(lacking: list[Item], wheels: list[Item], facts: Facts) -> None:
    """The preflight estimated a runtime; now its size is known."""
    unpacked = UNPACKED * sum(item.bytes for item in wheels)
    needs = 2 * sum(item.bytes - item.arrived for item in lacking) + unpacked
    if facts.disk.free < needs:
        raise Refused(
            f"{facts.disk.path} has {facts.disk.free / 1e6:.0f} MB free, needs about {needs / 1e6:.0f} MB: "
            f"free {(needs - facts.disk.free) / 1e6:.0f} MB"
        )


def _kit_findings(kit: Kit | None, facts: Facts, keep_runtime: bool) -> list[Finding]:
    python = "{}.{}".format(*facts.python)
    if keep_runtime and not facts.root.runtimes:
        return [Finding("it has no runtime yet", "deploy without --keep-runtime")]
    if kit is not None and (kit.device.python, kit.device.machine) != (python, facts.machine):
        mend = f"make one with `edgevoice kit --python {python} --machine {facts.machine}`"
        return [Finding(f"the kit is for Python {kit.device.python} on {kit.device.machine}", mend)]
    return []


def _afterwards(host: Host, ssh: Ssh, release: str, seconds: float = SETTLE_SECONDS) -> str:
    """What speaks after a lost line, asked anew; a deploy that goes on there is waited for."""
    try:
        with Session(host, ssh) as session:
            deadline = time.monotonic() + seconds
            while True:
                root = msgspec.convert(session.ask("installed", root=host.root)["root"], preflight.Root)
                if not root.busy or time.monotonic() > deadline:
                    break
                time.sleep(0.5)
    except (EdgevoiceError, msgspec.ValidationError):
        return f"the device speaks with the old release or the new one: ask `edgevoice status {host}` later"
    if root.busy:
        return f"the deploy goes on there by itself: ask `edgevoice status {host}` later"
    if root.current == release:
        return f"but the new release {release} speaks there"
    return f"{_speaks(root.current)}; what has arrived stays: deploy again to go on"


def _speaks(current: str) -> str:
    return f"release {current} still speaks there" if current else "no release is installed there yet"


def _release(read: bundle.Bundle) -> str:
    return short(read.id)


def _names(items: list[Item]) -> list[str]:
    return [item.name for item in items]


def _hashes(items: list[Item]) -> dict[str, str]:
    return {item.name: item.sha256 for item in items}
