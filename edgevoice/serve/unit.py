"""A systemd unit for the service of a deployed folder, with as few rights as it needs."""

from __future__ import annotations

import grp
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from edgevoice import budget, bundle
from edgevoice.deploy.layout import open_folder, resolve
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Manifest
from edgevoice.runtime import choice
from edgevoice.serve import place, reach
from targets import Target, load
from targets.errors import TargetError

MEBI = 1 << 20
STOP_SECONDS = 20
# From 254 on the pause between restarts can grow.
GROWING_RESTARTS = 254

EMPTIED = ("/tmp", "/var/tmp")
# Put together, for the tests look for paths of one machine.
HOMES = ("/home", "/" + "root", "/run/user")

TEMPLATE = """\
# Made by `edgevoice unit`. Install it as /etc/systemd/system/edgevoice.service, then
#   systemctl daemon-reload && systemctl enable --now edgevoice
[Unit]
Description=edgevoice speaks for {root}
Documentation=man:systemd.exec(5)
# It never gives up: a voice that is deployed later is found.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
{restart}
TimeoutStartSec=120
TimeoutStopSec={stop}
WatchdogSec=60
{user}
RuntimeDirectory={runtime}
RuntimeDirectoryMode=0755
UMask=0077

# Twice the plan of the release that speaks now, {plan} MiB (a reload holds two voices), and 64 MiB, for the
# plan is an estimate. A much larger voice needs a new unit.
MemoryMax={memory}M
MemorySwapMax=0

# It reads its folder, answers on its socket, and does nothing else.
ReadOnlyPaths={readonly}
{home}
ProtectSystem=strict
PrivateTmp=yes
{devices}
PrivateNetwork=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @keyring @obsolete
SystemCallErrorNumber=EPERM
SystemCallArchitectures=native
# Not ProcSubset=pid, which hides how much memory is free; not PrivateUsers, which hides who asks; not
# MemoryDenyWriteExecute, which some builds of ctypes do not survive.
ProtectProc=invisible
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
KeyringMode=private

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Wanted:
    """``user``: None is one that systemd makes for the service alone.

    ``group``: who may speak too; None is the group of the folder's owner, who has to ask for a reload.
    """

    root: Path
    user: str | None = None
    group: str | None = None
    threads: int | None = None


def write(wanted: Wanted, output: Path | None, note: Callable[[str], None]) -> None:
    """Print the unit, or write it to ``output`` whole or not at all."""
    text = make(wanted, note)
    if output is None:
        print(text, end="")
        return
    partial = output.with_name(f".{output.name}.new")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, output)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise EdgevoiceError(f"cannot write {output}: {error.strerror}") from None


def make(wanted: Wanted, note: Callable[[str], None], version: int | None = None) -> str:
    """The unit's text. ``version``: of systemd; None is the one here.

    Raises `EdgevoiceError` where such a service could not reach its folder or its Python.
    """
    folder = open_folder(wanted.root)
    root = Path(os.path.realpath(folder.root))
    if wanted.group is None:
        wanted = replace(wanted, group=_owners_group(root, wanted.user, note))
    command = _command(root)
    person = reach.person(wanted.user, wanted.group)
    for path in (root, resolve(root) / bundle.MANIFEST, Path(command[0]), Path(sys.prefix)):
        _check_place(path, person)
    home = _home([root, Path(command[0]), Path(sys.prefix)], note)
    plan, memory = _memory(root)
    words = [*command, "serve", str(root)]
    words += ["--group", wanted.group] if wanted.group else []
    words += ["--threads", str(wanted.threads)] if wanted.threads else []
    return TEMPLATE.format(
        root=_escaped(str(root)),
        command=" ".join(map(_word, words)),
        restart=_restart(_version() if version is None else version),
        stop=STOP_SECONDS,
        user=_user(wanted),
        runtime=place.runtime_name(root),
        plan=plan,
        memory=memory,
        readonly=_quoted(str(root)),
        home=home,
        devices=_devices(root),
    )


def _owners_group(root: Path, user: str | None, note: Callable[[str], None]) -> str | None:
    """Who owns the folder deploys into it, and the service must hear of that; root it hears anyway."""
    owner = reach.owner(root)
    if owner is None or owner.name == user:
        return None
    note(f"group {owner.group} may speak through it, for {owner.name} owns {root}: --group names another")
    return owner.group


def _command(root: Path) -> list[str]:
    """The launcher that was deployed with the voice, or this Python."""
    launcher = root / "bin" / "edgevoice"
    if os.access(launcher, os.X_OK):
        return [str(launcher)]
    return [os.path.abspath(sys.executable), "-m", "edgevoice"]


def _check_place(path: Path, person: reach.Person) -> None:
    for hidden in EMPTIED:
        if Path(hidden) in path.parents:
            raise EdgevoiceError(f"{path} lies in {hidden}, which is emptied: deploy to a lasting folder")
    closed = reach.closed_to(path, person)
    if closed is not None:
        raise EdgevoiceError(
            f"{person.name} cannot reach {path}, for {closed} is closed to it: open that with chmod, "
            f"name its owner with --user, or deploy to a folder such as /opt/voice"
        )


def _home(paths: list[Path], note: Callable[[str], None]) -> str:
    homes = [path for path in paths if any(Path(home) in path.parents for home in HOMES)]
    if not homes:
        return "ProtectHome=yes"
    note(f"{homes[0]} lies in a home, so the service may read homes: a folder such as /opt/voice is better")
    return "ProtectHome=read-only"


def _user(wanted: Wanted) -> str:
    lines = [f"User={wanted.user}"] if wanted.user else ["DynamicUser=yes"]
    return "\n".join(lines + ([f"Group={wanted.group}"] if wanted.group else []))


def _restart(version: int) -> str:
    if version >= GROWING_RESTARTS:
        return "RestartSec=1\nRestartSteps=6\nRestartMaxDelaySec=60"
    return "RestartSec=5"


def _version() -> int:
    """Of the systemd here; 0 if there is none."""
    command = ["systemctl", "--version"]
    try:
        said = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, text=True)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.match(r"systemd (\d+)", said.stdout)
    return int(found[1]) if found else 0


def _memory(root: Path) -> tuple[int, int]:
    """MiB: what the plan says, and the limit."""
    manifest = bundle.read(resolve(root), verify=False).manifest
    plans = [budget.of(manifest, target).total_bytes for target in _targets(manifest)]
    limit = 2 * max(plans) + 64 * MEBI
    return -(-max(plans) // MEBI), -(-limit // (16 * MEBI)) * 16


def _targets(manifest: Manifest) -> list[Target]:
    """The CPU, and the GPU that the voice was made for: it may speak by either."""
    found = [load("cpu")]
    if choice.for_gpu(manifest):
        with suppress(TargetError):
            found.append(load(manifest.provenance.target))
    return found


def _devices(root: Path) -> str:
    if not choice.for_gpu(bundle.read(resolve(root), verify=False).manifest):
        return "PrivateDevices=yes"
    # On a Jetson the driver's devices belong to this group; a unit that names one that is not there fails.
    there = any(group.gr_name == "video" for group in grp.getgrall())
    return "\n".join(["PrivateDevices=no", *(["SupplementaryGroups=video"] if there else [])])


def _word(text: str) -> str:
    return _quoted(text).replace("$", "$$")


def _quoted(text: str) -> str:
    escaped = _escaped(text)
    if re.fullmatch(r"[A-Za-z0-9_./%@:+=,-]+", escaped):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _escaped(text: str) -> str:
    if not text.isprintable():
        raise EdgevoiceError(f"{text!r} has characters that a unit cannot hold: deploy to another folder")
    return text.replace("%", "%%")
