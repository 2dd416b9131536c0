"""What state a board is in: power mode, clocks, temperatures, whether it is held back, free memory.

Everything is read while it runs and may be missing or malformed on any board; what cannot be read is None or
empty, never an error. Nothing here was tried on a board yet: it is written after the documented formats.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from targets import memory
from targets.board import cards, nvpmodel, sensors, tegrastats
from targets.board.cards import Card
from targets.board.nvpmodel import PowerMode
from targets.board.sensors import Clock, Temperature

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Board:
    """Clocks in MHz, temperatures in degrees Celsius, memory in bytes.

    ``limits``: what holds the clocks back right now, in words; None if that is not known. ``power_watts``: of
    the whole module, where it measures that.
    """

    power: PowerMode | None = None
    clocks: tuple[Clock, ...] = ()
    temperatures: tuple[Temperature, ...] = ()
    limits: tuple[str, ...] | None = None
    cards: tuple[Card, ...] = ()
    memory_free: int | None = None
    power_watts: float | None = None

    @property
    def hottest(self) -> Temperature | None:
        return max(self.temperatures, key=lambda found: found.celsius, default=None)

    @property
    def tells(self) -> bool:
        """Whether anything but the memory is known."""
        return bool(self.power or self.clocks or self.temperatures or self.cards or self.limits is not None)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    def line(self) -> str:
        """The state in one line, for a report; what is not known is said so."""
        parts = [f"power mode {self.power.text}"] if self.power else []
        state = [*parts, self.clocks_text(), self.temperature_text(), self.limits_text()]
        return ", ".join([*state, self.memory_text()])

    def clocks_text(self) -> str:
        found = [clock.text for clock in (*self.clocks, *(c for card in self.cards for c in card.clocks))]
        return ", ".join(found) or f"clocks {UNKNOWN}"

    def temperature_text(self) -> str:
        hottest = self.hottest
        return hottest.text if hottest else f"temperature {UNKNOWN}"

    def memory_text(self) -> str:
        """What is free of the machine's memory, and of each card's own."""
        card = [f"{found.memory_free >> 20} MiB of the card's" for found in self.cards if found.memory_free]
        host = [f"{self.memory_free >> 20} MiB of memory"] if self.memory_free is not None else []
        return f"{' and '.join([*host, *card])} free" if host or card else f"free memory {UNKNOWN}"

    def limits_text(self) -> str:
        if self.limits is None:
            return f"throttling {UNKNOWN}"
        return f"THROTTLED: {', '.join(self.limits)}" if self.limits else "not throttled"


def read(root: Path = Path("/"), jetson: bool = False, card: bool = False) -> Board:
    """The state now. ``jetson``, ``card``: ask its tools too, which are started for that; else only files."""
    here = root == Path("/")
    stats = tegrastats.read() if jetson and here else None
    found = cards.read() if card and here else ()
    temperatures = [*sensors.temperatures(root), *(c.temperature for c in found if c.temperature)]
    if stats:
        known = {entry.name for entry in temperatures}
        temperatures += [entry for entry in stats.temperatures if entry.name not in known]
    limits = [sensors.limits(root), *(one.limits for one in found)]
    readable = [entry for entry in limits if entry is not None]
    return Board(
        power=nvpmodel.read(root) if jetson else None,
        clocks=tuple(sensors.clocks(root)),
        temperatures=tuple(temperatures),
        limits=tuple(text for entry in readable for text in entry) if readable else None,
        cards=tuple(found),
        memory_free=memory.read(root).available,
        power_watts=stats.power_watts if stats else None,
    )
