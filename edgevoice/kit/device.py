"""Which wheels a device can run: its Python, its machine, its C library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from edgevoice.errors import EdgevoiceError

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MACHINES = ("aarch64", "x86_64")
OLDEST_GLIBC = 17
"""2.17 is manylinux2014, the oldest that our dependencies are built for."""


@dataclass(frozen=True)
class Device:
    """``python``: "3.10". ``machine``: "aarch64". ``glibc``: "2.35", as JetPack 6 has."""

    python: str
    machine: str
    glibc: str = "2.35"

    def __post_init__(self) -> None:
        if self.python not in PYTHONS:
            raise EdgevoiceError(
                f"Python {self.python} is not supported on a device: it must be one of {', '.join(PYTHONS)}"
            )
        if self.machine not in MACHINES:
            raise EdgevoiceError(
                f"there is no kit for {self.machine!r}: devices are {' or '.join(MACHINES)} with 64 bits"
            )
        if not re.fullmatch(r"2\.[0-9]{1,3}", self.glibc) or self.glibc_minor < OLDEST_GLIBC:
            raise EdgevoiceError(
                f"the device needs glibc 2.{OLDEST_GLIBC} or newer, not {self.glibc or 'none'}"
            )

    @property
    def glibc_minor(self) -> int:
        return int(self.glibc.partition(".")[2])

    @property
    def platforms(self) -> list[str]:
        """pip's names of what runs there, newest first."""
        minors = range(self.glibc_minor, OLDEST_GLIBC - 1, -1)
        return [*(f"manylinux_2_{minor}_{self.machine}" for minor in minors), f"manylinux2014_{self.machine}"]

    @property
    def markers(self) -> dict[str, str]:
        """What requirements ask about, for this device and not for the Python that runs here."""
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{self.python}.0",
            "os_name": "posix",
            "platform_machine": self.machine,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }


def needed_glibc(wheel: str) -> int:
    """The minor version of glibc that a wheel's name asks for; 0 where it asks for none."""
    minors = [int(found) for found in re.findall(r"manylinux_2_([0-9]+)_", wheel)]
    minors += [OLDEST_GLIBC] * ("manylinux2014_" in wheel)
    return min(minors, default=0)


def of_facts(facts: dict[str, Any]) -> Device:
    """The device that answered a preflight."""
    major, minor = facts["python"][:2]
    return Device(f"{major}.{minor}", facts["machine"], facts["glibc"])
