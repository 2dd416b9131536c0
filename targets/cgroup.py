"""What the control group leaves this process of CPUs and memory (versions 1 and 2; Linux only)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

# Version 1 writes "no limit" as the largest multiple of the page size; any real limit is far below.
UNLIMITED = 1 << 60
MEMORY_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None


def parse_membership(text: str) -> dict[str, str]:
    """`/proc/self/cgroup` -> controller: path. The controller of version 2 is the empty text."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(","):
                groups[controller] = parts[2]
    return groups


def _folders(mount: Path, group: str) -> Iterator[Path]:
    """The group's folder and all above it: a limit of any of them holds.

    Inside a container the path names folders of the host that are not mounted here; those are passed over,
    and the mount point itself is the container's own group.
    """
    inside = PurePosixPath(group.lstrip("/"))
    for part in (inside, *inside.parents):
        folder = mount / part
        if ".." not in part.parts and folder.is_dir():
            yield folder


def _groups(root: Path, controller: str) -> Iterator[Path]:
    membership = parse_membership(_read(root / "proc/self/cgroup") or "")
    mount = root / "sys/fs/cgroup"
    if "" in membership:
        yield from _folders(mount, membership[""])
    if controller in membership:
        for name in (controller, "cpu,cpuacct"):
            if (mount / name).is_dir():
                yield from _folders(mount / name, membership[controller])
                return


def _quota_of(folder: Path) -> float | None:
    both = (_read(folder / "cpu.max") or "").split()
    if not both:
        both = [_read(folder / "cpu.cfs_quota_us") or "", _read(folder / "cpu.cfs_period_us") or ""]
    try:
        quota, period = float(both[0]), float(both[1])
    except (ValueError, IndexError):  # "max 100000", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def cpu_quota(root: Path = Path("/")) -> float | None:
    """CPUs' worth of time that this process may use, such as 1.5; None without a limit."""
    quotas = [quota for folder in _groups(root, "cpu") if (quota := _quota_of(folder)) is not None]
    return min(quotas) if quotas else None


def _number(path: Path) -> int | None:
    text = _read(path)
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _cache(folder: Path) -> int:
    """Bytes of file cache that the kernel gives back before it calls the group full."""
    for line in (_read(folder / "memory.stat") or "").splitlines():
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdigit():
            return int(value)
    return 0


def memory_left(root: Path = Path("/")) -> tuple[int, int] | None:
    """(limit, bytes still free below it) of the tightest group; None without a limit."""
    found = []
    for folder in _groups(root, "memory"):
        for limit_file, used_file in MEMORY_FILES:
            limit, used = _number(folder / limit_file), _number(folder / used_file)
            if limit is not None and limit < UNLIMITED:
                found.append((limit, max(0, limit - max(0, (used or 0) - _cache(folder)))))
    if not found:
        return None
    return min(limit for limit, _ in found), min(left for _, left in found)
