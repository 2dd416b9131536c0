"""Everything that stands against a deploy, found before the first byte is sent, each with its mend."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import msgspec

from edgevoice import budget
from edgevoice.errors import EdgevoiceError
from edgevoice.kit.device import MACHINES, OLDEST_GLIBC, PYTHONS
from edgevoice.manifest import Manifest
from edgevoice.options import Wish
from targets import Target, host, jetpack, load
from targets.errors import TargetError

RUNTIME_BYTES = 500_000_000
"""What a first runtime takes on disk, its wheels included: 130 to 400 MB were seen, by Python and machine."""
RUNTIME_FILES = 12_000
CLOCK_SECONDS = 86_400.0


class Disk(msgspec.Struct, frozen=True):
    path: str
    free: int
    inodes: int
    read_only: bool
    writable: bool
    no_exec: bool


class Memory(msgspec.Struct, frozen=True):
    total: int
    available: int


class Root(msgspec.Struct, frozen=True):
    """The deployed folder. ``current``: the release that speaks. ``busy``: a deploy holds it now."""

    path: str
    exists: bool
    folder: bool
    foreign: bool
    current: str
    runtimes: list[str]
    launcher: bool
    busy: bool = False


class Facts(msgspec.Struct, frozen=True):
    """What the device's agent read (`edgevoice.remote.agent.facts`); empty where it found nothing."""

    python: tuple[int, int, int]
    executable: str
    venv: bool
    machine: str
    bits: int
    glibc: str
    system: str
    user: str
    board: str
    tegra: str
    cards: list[str]
    jetpack: str
    tensorrt: str
    cuda: str
    memory: Memory
    disk: Disk
    clock: float
    audio: list[str]
    root: Root


@dataclass(frozen=True)
class Finding:
    """``fatal``: the deploy cannot go on; else it is for the user to know."""

    what: str
    mend: str
    fatal: bool = True

    def __str__(self) -> str:
        return f"{'problem' if self.fatal else 'note'}: {self.what} -> {self.mend}"


class Unfit(EdgevoiceError):
    """The preflight failed; ``findings`` holds every problem."""

    def __init__(self, where: str, findings: list[Finding]) -> None:
        self.findings = findings
        self.details = {"findings": [asdict(finding) for finding in findings]}
        fatal = [finding for finding in findings if finding.fatal]
        count = f"{len(fatal)} problem{'s' if len(fatal) > 1 else ''}"
        told = "; ".join(f"{finding.what} ({finding.mend})" for finding in fatal)
        super().__init__(f"{where} has {count}: {told}; nothing was sent")


def judge(
    facts: Facts, manifest: Manifest, target: Target, missing: int, now: float, wish: Wish = ""
) -> list[Finding]:
    """Every finding. ``missing``: bytes of the bundle to send. ``now``: seconds since 1970, here. ``wish``:
    the engine that is asked for."""
    found = [*_python(facts), *_system(facts), *_place(facts), *_space(facts, missing)]
    found += [*_memory(facts, manifest, target, wish), *_board(facts, target)]
    return [*found, *_surroundings(facts, now)]


def target_of(manifest: Manifest, name: str) -> Target:
    """The target that was named, or that the bundle was made for."""
    if name:
        return load(name)
    try:
        return load(manifest.provenance.target)
    except TargetError:  # a profile of the workstation that made it
        return load("cpu")


def describe(facts: Facts) -> list[tuple[str, str]]:
    """The device in words, for ``--dry-run``."""
    rows = [
        ("board", facts.board or "no device tree"),
        ("system", f"{facts.system}, {facts.machine}, glibc {facts.glibc or 'none'}"),
        ("JetPack", facts.jetpack or host.parse_tegra_release(facts.tegra) or "none"),
        ("CUDA", facts.cuda or "none"),
        ("TensorRT", facts.tensorrt or "none"),
        ("Python", f"{_version(facts)} ({facts.executable})"),
        ("memory", f"{_gib(facts.memory.available)} free of {_gib(facts.memory.total)}"),
        ("disk", f"{_gib(facts.disk.free)} free at {facts.disk.path}"),
        ("clock", time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(facts.clock))),
        ("audio", ", ".join(facts.audio) or "none"),
        ("speaks", facts.root.current or "nothing yet"),
    ]
    return rows


def _python(facts: Facts) -> Iterator[Finding]:
    if ".".join(map(str, facts.python[:2])) not in PYTHONS:
        yield Finding(
            f"Python {_version(facts)} is none of {', '.join(PYTHONS)}",
            "use JetPack 6.1 or newer, or name another Python there with --python",
        )
    if not facts.venv:
        yield Finding(
            "its Python has no module venv", "sudo apt install python3-venv, or name another with --python"
        )


def _system(facts: Facts) -> Iterator[Finding]:
    if facts.machine not in MACHINES or facts.bits != 64:
        yield Finding(
            f"{facts.machine} with {facts.bits} bits has no ONNX Runtime",
            f"use a system for {' or '.join(MACHINES)} with 64 bits",
        )
    minor = facts.glibc.partition(".")[2]
    if not minor.isdecimal() or int(minor) < OLDEST_GLIBC:
        yield Finding(
            f"its C library is {facts.glibc or 'not GNU'}",
            f"use a system with glibc 2.{OLDEST_GLIBC} or newer",
        )


def _place(facts: Facts) -> Iterator[Finding]:
    root, disk = facts.root, facts.disk
    if root.exists and not root.folder:
        yield Finding(f"{root.path} is a file", "name a folder")
    if root.foreign:
        yield Finding(f"{root.path} holds other things", "name an empty or new folder")
    if disk.read_only:
        yield Finding(
            f"{disk.path} is on a file system that is mounted read-only",
            "mount it writable or name another folder",
        )
    elif not disk.writable:
        yield Finding(
            f"{facts.user} may not write to {disk.path}",
            f"name a folder of that user's, or sudo install -d -o {facts.user} {root.path}",
        )
    if disk.no_exec:
        yield Finding(
            f"{disk.path} is on a file system that runs no programs (noexec)", "name another folder"
        )


def _space(facts: Facts, missing: int) -> Iterator[Finding]:
    first = not facts.root.runtimes
    needs = 2 * missing + (RUNTIME_BYTES if first else 1 << 20)
    if facts.disk.free < needs:
        yield Finding(
            f"{facts.disk.path} has {facts.disk.free / 1e6:.0f} MB free and needs about {needs / 1e6:.0f} MB",
            f"free {(needs - facts.disk.free) / 1e6:.0f} MB",
        )
    if first and 0 <= facts.disk.inodes < RUNTIME_FILES:
        yield Finding(
            f"{facts.disk.path} has {facts.disk.inodes} inodes left",
            f"{RUNTIME_FILES} are needed: remove files",
        )


def _memory(facts: Facts, manifest: Manifest, target: Target, wish: Wish) -> Iterator[Finding]:
    refusal = budget.of(manifest, target, facts.memory.available or None, wish=wish).refusal()
    if refusal:
        yield Finding(refusal, "free memory there, or compress the voice with a smaller recipe")
    if told := budget.on_cpu(manifest, target, wish):
        yield Finding("its GPU stays idle", told, fatal=False)


def _board(facts: Facts, target: Target) -> Iterator[Finding]:
    l4t = host.parse_tegra_release(facts.tegra)
    release = jetpack.from_l4t(l4t) if l4t else None
    refusal = release[0].refusal() if release else None
    if refusal:
        yield Finding(refusal, "flash a newer JetPack")
    is_jetson = bool(l4t) or "jetson" in facts.board.lower()
    if is_jetson and not facts.tensorrt:
        yield Finding(
            "there is no TensorRT", "voices run on its CPU; sudo apt install python3-libnvinfer", fatal=False
        )
    boards = host.guess("jetson", facts.board, facts.memory.total) if facts.board else []
    if boards and target.kind == "jetson" and target.id not in [board.id for board in boards]:
        yield Finding(
            f"it is a {facts.board}, the plan is for {target.name}", f"--target {boards[0].id}", fatal=False
        )


def _surroundings(facts: Facts, now: float) -> Iterator[Finding]:
    off = facts.clock - now
    if abs(off) > CLOCK_SECONDS:
        side = "ahead" if off > 0 else "behind"
        yield Finding(
            f"its clock is {abs(off) / 86_400:.0f} days {side}",
            "sudo date -s, or set up a clock",
            fatal=False,
        )
    if not facts.audio:
        yield Finding("it has no sound card", "`edgevoice say` writes files there", fatal=False)


def _version(facts: Facts) -> str:
    return ".".join(map(str, facts.python))


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
