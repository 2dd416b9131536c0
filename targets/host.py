"""What this machine is: CPU, memory, and whether it is a Jetson or has an NVIDIA card. Only reads files."""

from __future__ import annotations

import platform
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from targets import jetpack, memory
from targets.cpus import usable_cpus as usable_cpus
from targets.profile import Target, all_targets

# Instructions that multiply INT8 numbers and sum them in one step; without one of them INT8 gains little.
INT8_FEATURES = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
WORTH_NAMING = ("avx2", "avx512f", *INT8_FEATURES, "asimd", "asimdhp", "sve")
# Arm's part numbers (implementer 0x41) of cores that small boards and servers have, as in Linux' cputype.h.
ARM_PARTS = {
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse N1",
    "0xd42": "Cortex-A78AE",
}


@dataclass(frozen=True)
class Cpu:
    """Name and the features that matter for speech models, in the kernel's spelling."""

    model: str
    features: tuple[str, ...]

    @property
    def fast_int8(self) -> bool:
        return any(feature in INT8_FEATURES for feature in self.features)


@dataclass(frozen=True)
class Host:
    """This machine. `targets` are ids of the profiles it can be, best guess first; sizes in bytes.

    `jetpack_exact` is False where the L4T number lies between two known releases.
    """

    machine: str
    cpu: Cpu
    cpus: int
    memory: memory.Memory
    board: str | None = None
    l4t: str | None = None
    jetpack: jetpack.JetPack | None = None
    jetpack_exact: bool = False
    cards: tuple[str, ...] = ()
    compute_capability: str | None = None
    targets: tuple[str, ...] = ("cpu",)

    @property
    def is_jetson(self) -> bool:
        return self.l4t is not None or (self.board is not None and "jetson" in self.board.lower())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "machine": self.machine,
            "cpu": {**asdict(self.cpu), "fast_int8": self.cpu.fast_int8},
            "cpus": self.cpus,
            "memory": {"total_bytes": self.memory.total, "available_bytes": self.memory.available},
            "board": self.board,
            "l4t": self.l4t,
            "jetpack": self.jetpack.version if self.jetpack else None,
            "jetpack_exact": self.jetpack_exact,
            "cards": list(self.cards),
            "compute_capability": self.compute_capability,
            "targets": list(self.targets),
        }


def parse_cpuinfo(text: str) -> Cpu:
    """`/proc/cpuinfo` of x86 or Arm -> Cpu."""
    fields: dict[str, str] = {}
    for key, value in re.findall(r"^([^:\n]+?)\s*:[ \t]*(.*)$", text, re.MULTILINE):
        fields.setdefault(key, value.strip())
    listed = set((fields.get("flags") or fields.get("Features") or "").split())
    part = fields.get("CPU part", "").lower()
    arm = ARM_PARTS.get(part) if fields.get("CPU implementer") == "0x41" else None
    model = fields.get("model name") or arm or (f"CPU part {part}" if part else "unknown CPU")
    return Cpu(model, tuple(name for name in WORTH_NAMING if name in listed))


def parse_tegra_release(text: str) -> str | None:
    """First line of `/etc/nv_tegra_release` -> L4T number, such as "36.4.3"."""
    found = re.search(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*(\d+(?:\.\d+)*)", text)
    return f"{found[1]}.{found[2]}" if found else None


def parse_card(text: str) -> str | None:
    """`/proc/driver/nvidia/gpus/*/information` -> the card's name."""
    found = re.search(r"^Model:\s*(.+?)\s*$", text, re.MULTILINE)
    return found[1] if found else None


def _matches(target: Target, kind: str, model: str) -> bool:
    phrases = target.model_phrases
    return target.kind == kind and bool(phrases) and all(phrase in model for phrase in phrases)


def guess(kind: str, model: str, memory_bytes: int | None = None) -> list[Target]:
    """Profiles of `kind` that a model name can mean: most phrases matched, then nearest in memory, first.

    A board shows less memory than it is sold with, so a profile must have at least what was seen.
    """
    found = [target for target in all_targets() if _matches(target, kind, model.lower())]
    if memory_bytes is not None:
        large = [target for target in found if target.memory_bytes >= memory_bytes * 0.98]
        found = large or found
    seen = memory_bytes or 0
    return sorted(found, key=lambda t: (-len(t.model_phrases), abs(t.memory_bytes - seen)))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def _cards(root: Path) -> tuple[str, ...]:
    files = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    return tuple(name for file in files if (name := parse_card(_text(file))))


def read(root: Path = Path("/")) -> Host:
    """Reads what this machine is from the files below `root`; nothing is loaded, no driver is touched."""
    found = memory.read(root)
    board = _text(root / "proc/device-tree/model") or None
    l4t = parse_tegra_release(_text(root / "etc/nv_tegra_release"))
    release = jetpack.from_l4t(l4t) if l4t else None
    cards = () if l4t else _cards(root)
    guesses = guess("jetson", board, found.total) if board else []
    for card in cards:
        guesses += [target for target in guess("dgpu", card) if target not in guesses]
    return Host(
        machine=platform.machine(),
        cpu=parse_cpuinfo(_text(root / "proc/cpuinfo")),
        cpus=usable_cpus(root),
        memory=found,
        board=board,
        l4t=l4t,
        jetpack=release[0] if release else None,
        jetpack_exact=release[1] if release else False,
        cards=cards,
        compute_capability=guesses[0].compute_capability if guesses else None,
        targets=(*(target.id for target in guesses), "cpu"),
    )
