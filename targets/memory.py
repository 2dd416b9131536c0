"""The memory of this machine, as far as this process may use it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from targets import cgroup


@dataclass(frozen=True)
class Memory:
    """Bytes in all and bytes that can be had now without swapping, within the limits of the control group."""

    total: int
    available: int


def parse_meminfo(text: str) -> Memory | None:
    """`/proc/meminfo` -> Memory; None where it has no total. Without `MemAvailable`, what is free counts."""
    found = {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    if "MemTotal" not in found:
        return None
    available = found.get("MemAvailable", found.get("MemFree", found["MemTotal"]))
    return Memory(found["MemTotal"], available)


def _elsewhere() -> Memory:
    """Not Linux: the total is known, what is free is not, so half of it is taken."""
    try:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        total = 2 << 30
    return Memory(total, total // 2)


def read(root: Path = Path("/")) -> Memory:
    """Reads `/proc/meminfo` and the control group's limits below `root`."""
    try:
        memory = parse_meminfo((root / "proc/meminfo").read_text()) or _elsewhere()
    except OSError:
        memory = _elsewhere()
    limit = cgroup.memory_left(root)
    if limit is None:
        return memory
    return Memory(min(memory.total, limit[0]), min(memory.available, limit[1]))
