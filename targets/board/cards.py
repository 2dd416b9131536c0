"""NVIDIA cards: through NVML where nvidia-ml-py is installed, else by the driver's own `nvidia-smi`."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from targets.board.sensors import COLDEST, HOTTEST, Clock, Temperature
from targets.board.text import of_command

MIB = 1 << 20
SECONDS = 20.0
"""A driver that is not kept loaded takes some seconds to answer."""
FIELDS = ("name", "memory.free", "memory.total", "clocks.sm", "clocks.max.sm", "temperature.gpu")
REASONS = ("clocks_event_reasons.active", "clocks_throttle_reasons.active")
"""The newer drivers' name, and the older ones'."""
HELD_BACK = {
    0x4: "its power limit",
    0x8: "a slowdown of the hardware",
    0x20: "heat",
    0x40: "heat, by the hardware",
    0x80: "the power supply's brake",
}
"""Bits of NVML's reasons that mean a slower card than its settings ask for."""


@dataclass(frozen=True)
class Card:
    """Memory in bytes; ``limits``: what holds its clocks back, None if not known."""

    name: str
    memory_free: int | None = None
    memory_total: int | None = None
    clocks: tuple[Clock, ...] = ()
    temperature: Temperature | None = None
    limits: tuple[str, ...] | None = None


def read() -> tuple[Card, ...]:
    """All cards; empty where neither way finds one."""
    return _by_nvml() or _by_smi()


def parse(text: str) -> tuple[Card, ...]:
    """What `nvidia-smi --query-gpu=... --format=csv,noheader,nounits` prints for `FIELDS` and the reasons."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]
    return tuple(_card(row) for row in rows if len(row) == len(FIELDS) + 1 and row[0])


def _card(row: list[str]) -> Card:
    free, total, clock, most, celsius = (_whole(cell) for cell in row[1:6])
    return _made(row[0], (_bytes(free), _bytes(total)), (clock, most), celsius, _whole(row[6]))


def _made(
    name: str,
    memory: tuple[int | None, int | None],
    clock: tuple[int | None, int | None],
    celsius: int | None,
    reasons: int | None,
) -> Card:
    sane = celsius is not None and COLDEST <= celsius <= HOTTEST
    return Card(
        name,
        *memory,
        clocks=(Clock("GPU", clock[0], clock[1]),) if clock[0] else (),
        temperature=Temperature(name, float(celsius)) if sane and celsius is not None else None,
        limits=None if reasons is None else tuple(why for bit, why in HELD_BACK.items() if reasons & bit),
    )


def _bytes(mib: int | None) -> int | None:
    return None if mib is None or mib < 0 else mib * MIB


def _whole(cell: str) -> int | None:
    """A decimal or hexadecimal number; "[N/A]" and the like are none."""
    try:
        return int(cell, 16) if cell.lower().startswith("0x") else int(cell)
    except ValueError:
        return None


def _by_smi() -> tuple[Card, ...]:
    for reasons in REASONS:
        query = f"--query-gpu={','.join([*FIELDS, reasons])}"
        found = parse(of_command(["nvidia-smi", query, "--format=csv,noheader,nounits"], SECONDS))
        if found:
            return found
    return ()


def _by_nvml() -> tuple[Card, ...]:
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
    except Exception:  # not installed, or no driver: it raises types of its own
        return ()
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(int(nvml.nvmlDeviceGetCount()))]
        return tuple(_asked(nvml, handle) for handle in handles)
    except Exception:
        return ()
    finally:
        _quietly(nvml.nvmlShutdown)


def _asked(nvml: Any, handle: Any) -> Card:
    name = _quietly(nvml.nvmlDeviceGetName, handle)
    memory = _quietly(nvml.nvmlDeviceGetMemoryInfo, handle)
    reasons = _quietly(getattr(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", None), handle)
    return _made(
        name.decode(errors="replace") if isinstance(name, bytes) else str(name or "NVIDIA card"),
        (getattr(memory, "free", None), getattr(memory, "total", None)),
        (
            _quietly(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
            _quietly(nvml.nvmlDeviceGetMaxClockInfo, handle, nvml.NVML_CLOCK_SM),
        ),
        _quietly(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
        reasons if isinstance(reasons, int) else None,
    )


def _quietly(call: Any, *arguments: Any) -> Any:
    """None for what this card does not tell."""
    try:
        return call(*arguments)
    except Exception:
        return None
