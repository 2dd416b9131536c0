"""One line of a Jetson's `tegrastats`: what it alone knows without root, the module's power among it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from targets.board.sensors import COLDEST, HOTTEST, Temperature
from targets.board.text import of_line

COMMAND = ("tegrastats", "--interval", "200")
SECONDS = 5.0
"""For its first line; it never ends by itself."""
MIB = 1 << 20

_RAM = re.compile(r"\bRAM (\d{1,9})/(\d{1,9})MB")
_TEMPERATURE = re.compile(r"\b([A-Za-z][\w-]*)@(-?\d{1,4}(?:\.\d{1,6})?)C\b")
_GPU = re.compile(r"\bGR3D_FREQ (\d{1,3})%")
_POWER = re.compile(r"\b(?:VDD_IN|POM_5V_IN|VIN_SYS_5V0) (\d{1,9})(?:mW)?/\d")


@dataclass(frozen=True)
class Stats:
    """Bytes of memory used and in all, degrees, per cent of the GPU's time, watts; None what is not said."""

    used_bytes: int | None
    total_bytes: int | None
    temperatures: tuple[Temperature, ...]
    gpu_percent: int | None
    power_watts: float | None


def parse(line: str) -> Stats | None:
    """None for a line that is none of its."""
    ram = _RAM.search(line)
    found = [Temperature(name, float(celsius)) for name, celsius in _TEMPERATURE.findall(line)]
    sane = tuple(entry for entry in found if COLDEST <= entry.celsius <= HOTTEST)
    gpu, power = _GPU.search(line), _POWER.search(line)
    if not (ram or sane or gpu):
        return None
    return Stats(
        int(ram[1]) * MIB if ram else None,
        int(ram[2]) * MIB if ram else None,
        sane,
        int(gpu[1]) if gpu else None,
        int(power[1]) / 1000 if power else None,
    )


def read(command: tuple[str, ...] = COMMAND, seconds: float = SECONDS) -> Stats | None:
    """Its first line; None where there is none within ``seconds``."""
    return of_line(command, seconds, parse)
