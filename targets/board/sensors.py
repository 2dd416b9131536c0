"""Clocks, temperatures and what throttles, from the kernel's own files (cpufreq, devfreq, thermal)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from targets.board.text import number, of_file

GPU_DEVICES = (".gpu", ".ga10b", ".gv11b", ".gp10b", ".gm20b")
"""Ends of the names that a Jetson's GPU has among the devices whose frequency the kernel sets."""
SLOWING = ("cpufreq", "devfreq", "gpu", "processor")
"""How cooling devices are called that slow what a voice runs on; others dim a screen or slow a radio."""
MHZ_IN_KHZ, MHZ_IN_HZ = 1_000, 1_000_000
COLDEST, HOTTEST = -60.0, 200.0
"""What a chip can have; a sensor that is off reads something else."""


@dataclass(frozen=True)
class Clock:
    """MHz now, and the most that is allowed; None where that is not known."""

    name: str
    now: int
    most: int | None = None

    @property
    def text(self) -> str:
        return f"{self.name} {self.now}{f' of {self.most}' if self.most else ''} MHz"


@dataclass(frozen=True)
class Temperature:
    name: str
    celsius: float

    @property
    def text(self) -> str:
        return f"{self.celsius:.0f} °C ({self.name})"


def clocks(root: Path = Path("/")) -> Iterator[Clock]:
    """The fastest CPU, and a Jetson's GPU."""
    files = ("scaling_cur_freq", "cpuinfo_max_freq")
    folders = _sorted(root, "sys/devices/system/cpu/cpu[0-9]*/cpufreq")
    cpus = [cpu for folder in folders if (cpu := _clock("CPU", folder, files, MHZ_IN_KHZ))]
    if cpus:
        yield max(cpus, key=lambda clock: clock.now)
    for folder in _sorted(root, "sys/class/devfreq/*"):
        if folder.name.endswith(GPU_DEVICES):
            gpu = _clock("GPU", folder, ("cur_freq", "max_freq"), MHZ_IN_HZ)
            if gpu:
                yield gpu


def _clock(name: str, folder: Path, files: tuple[str, str], unit: int) -> Clock | None:
    now, most = (number(folder / file) for file in files)
    if now is None or now <= 0:
        return None
    return Clock(name, now // unit, most // unit if most and most >= now else None)


def temperatures(root: Path = Path("/")) -> list[Temperature]:
    """One a thermal zone; those that read nothing a chip can have are left out."""
    found = []
    for zone in _sorted(root, "sys/class/thermal/thermal_zone*"):
        thousandths = number(zone / "temp")
        if thousandths is not None and COLDEST <= thousandths / 1000 <= HOTTEST and thousandths:
            name = (of_file(zone / "type") or zone.name).removesuffix("-thermal").removesuffix("_thermal")
            found.append(Temperature(name, thousandths / 1000))
    return found


def limits(root: Path = Path("/")) -> tuple[str, ...] | None:
    """What the kernel holds back because of heat; None where it has no cooling devices to say so."""
    devices = _sorted(root, "sys/class/thermal/cooling_device*")
    states = [(of_file(device / "type"), number(device / "cur_state")) for device in devices]
    held = [(kind, state) for kind, state in states if kind and state is not None and _slows(kind)]
    if not held:
        return None
    return tuple(dict.fromkeys(f"{kind} is held back by heat" for kind, state in held if state > 0))


def _slows(kind: str) -> bool:
    return kind.lower().removeprefix("thermal-").startswith(SLOWING)


def _sorted(root: Path, pattern: str) -> list[Path]:
    try:
        return sorted(root.glob(pattern))
    except OSError:
        return []
