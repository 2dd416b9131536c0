"""JetPack releases as data, and which of them edgevoice runs on."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any

from targets import toml
from targets.errors import TargetError

# The oldest pair that the engine code is written for: strongly typed networks with explicit Q/DQ as TensorRT
# 10.3 has them, and the oldest Python that our dependencies still ship wheels for.
OLDEST_TENSORRT = "10.3"
OLDEST_PYTHON = "3.10"
OLDEST_JETPACK = "6.1"


def version_key(text: str) -> tuple[int, ...]:
    """`"10.16.2"` -> `(10, 16, 2)`; raises `TargetError` for anything but dotted numbers."""
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)*", text):
        raise TargetError(f"{text!r} is no version number: write dotted numbers such as 6.2 or 10.3.0")
    numbers = [int(part) for part in text.split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:  # 6.1 and 6.1.0 are one release
        numbers.pop()
    return tuple(numbers)


@dataclass(frozen=True)
class JetPack:
    """One release: versions of what it ships, the board families it runs on, and where the row was read."""

    version: str
    ubuntu: str
    python: str
    cuda: str
    tensorrt: str
    cudnn: str
    boards: tuple[str, ...]
    source: str
    confirmed: bool
    l4t: str | None = None
    tensorrt_installable: str | None = None

    def refusal(self) -> str | None:
        """Why edgevoice does not run on this release; None where it does."""
        old_tensorrt = version_key(self.tensorrt) < version_key(OLDEST_TENSORRT)
        old_python = version_key(self.python) < version_key(OLDEST_PYTHON)
        if not old_tensorrt and not old_python:
            return None
        return (
            f"JetPack {self.version} (TensorRT {self.tensorrt}, Python {self.python}) is too old: "
            f"edgevoice needs JetPack {OLDEST_JETPACK} or newer "
            f"(TensorRT {OLDEST_TENSORRT}, Python {OLDEST_PYTHON})"
        )


def _row(raw: dict[str, Any]) -> JetPack:
    return JetPack(**{**raw, "boards": tuple(raw["boards"])})


@functools.lru_cache(maxsize=1)
def releases() -> tuple[JetPack, ...]:
    """Every known release, oldest first."""
    rows = tuple(_row(raw) for raw in toml.packaged("jetpacks.toml")["jetpack"])
    return tuple(sorted(rows, key=lambda row: version_key(row.version)))


def find(version: str) -> JetPack:
    """The release with this number, or the newest one not newer than it in the same major version.

    `"5.1.4"` finds the row of 5.1. Raises `TargetError` for a major version that the table does not know.
    """
    wanted = version_key(version)
    known = [row for row in releases() if version_key(row.version)[0] == wanted[0]]
    older = [row for row in known if version_key(row.version) <= wanted]
    if not known:
        numbers = ", ".join(row.version for row in releases())
        raise TargetError(f"JetPack {version} is not known; known are {numbers}")
    return older[-1] if older else known[0]


def from_l4t(l4t: str) -> tuple[JetPack, bool] | None:
    """The release that a Jetson Linux (L4T) number belongs to, and whether the table has exactly that.

    L4T gets point releases of its own between two JetPacks, so a number between two rows belongs to the
    older. None for a major version that the table does not know.
    """
    wanted = version_key(l4t)
    rows = [(version_key(row.l4t), row) for row in releases() if row.l4t]
    older = [(key, row) for key, row in rows if key[0] == wanted[0] and key <= wanted]
    if not older:
        return None
    key, row = max(older, key=lambda pair: pair[0])
    return row, key == wanted


def check(version: str, family: str | None = None) -> JetPack:
    """The release, if edgevoice runs on it and it runs on boards of `family`; else `TargetError`."""
    row = find(version)
    refusal = row.refusal()
    if refusal:
        raise TargetError(refusal)
    if family and family not in row.boards:
        usable = [r.version for r in releases() if family in r.boards and not r.refusal()]
        advice = f"use JetPack {', '.join(usable)}" if usable else "no JetPack that edgevoice runs on does"
        raise TargetError(f"JetPack {row.version} does not run on {family} boards: {advice}")
    return row
