"""A Jetson's power mode. Numbers mean other modes on every board and JetPack, so its own file names them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from targets.board.text import of_file

_MODE = re.compile(r"<\s*POWER_MODEL\s+ID=(\d{1,6})\s+NAME=([^\s>]+)\s*>")
_DEFAULT = re.compile(r"<\s*PM_CONFIG\s+DEFAULT=(\d{1,6})\s*>")
_NOW = re.compile(r"pmode:(\d{1,6})\b")


@dataclass(frozen=True)
class PowerMode:
    """The mode's number and name as the board has them, and the names of all its modes."""

    number: int
    name: str
    modes: tuple[str, ...]

    @property
    def text(self) -> str:
        others = [name for name in self.modes if name != self.name]
        return f"{self.name} ({self.number}{'; others: ' + ', '.join(others) if others else ''})"


def parse(text: str) -> dict[int, str]:
    """`/etc/nvpmodel.conf` -> names by number; lines that are commented out do not count."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return {int(number): name for number, name in _MODE.findall("\n".join(lines))}


def read(root: Path = Path("/")) -> PowerMode | None:
    """The mode that is set, or the one that is set at each start; None where the files do not say."""
    text = of_file(root / "etc/nvpmodel.conf")
    modes = parse(text)
    found = _NOW.search(of_file(root / "var/lib/nvpmodel/status")) or _DEFAULT.search(text)
    if not found:
        return None
    number = int(found[1])
    if number not in modes:
        return None
    return PowerMode(number, modes[number], tuple(modes.values()))
