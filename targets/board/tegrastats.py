"""One line of a Jetson's `tegrastats`: what it alone knows without root, the module's power among it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from targets.board.sensors import COLDEST, HOTTEST, Temperature
from targets.board.text import of_line

COMMAND = ("tegrastats", "--interval", "200")
SECONDS = 5.0
"""For its first line; it never ends by itself."""

_ITS_OWN = re.compile(r"\bRAM \d{1,9}/\d{1,9}MB|\bGR3D_FREQ \d{1,3}%")
_TEMPERATURE = re.compile(r"\b([A-Za-z][\w-]*)@(-?\d{1,4}(?:\.\d{1,6})?)C\b")
_POWER = re.compile(r"\b(?:VDD_IN|POM_5V_IN|VIN_SYS_5V0) (\d{1,9})(?:mW)?/\d")


@dataclass(frozen=True)
class Stats:
    """Degrees, and watts of the module, None if they are not said."""

    temperatures: tuple[Temperature, ...]
    power_watts: float | None


def parse(line: str) -> Stats | None:
    """None for a line that is none of its."""
    found = [Temperature(name, float(celsius)) for name, celsius in _TEMPERATURE.findall(line)]
    sane = tuple(entry for entry in found if COLDEST <= entry.celsius <= HOTTEST)
    if not (sane or _ITS_OWN.search(line)):
        return None
    power = _POWER.search(line)
    return Stats(sane, int(power[1]) / 1000 if power else None)


def read(command: tuple[str, ...] = COMMAND, seconds: float = SECONDS) -> Stats | None:
    """Its first line; None where there is none within ``seconds``."""
    return of_line(command, seconds, parse)
