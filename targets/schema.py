"""The form of a profile: which keys it has, their types and bounds, and one line on each fault."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from targets.errors import TargetError
from targets.jetpack import version_key

KINDS = ("jetson", "dgpu", "cpu")
PRECISIONS = ("fp32", "fp16", "int8")
GPU_ENGINES = ("tensorrt", "onnxruntime")
ENGINES = {"jetson": GPU_ENGINES, "dgpu": GPU_ENGINES, "cpu": ("onnxruntime",)}
# Figures that a plan cannot do without, by kind. A CPU profile may leave memory to the machine.
NEEDED_FIGURES = {
    "jetson": ("compute_capability", "memory_gib", "last_jetpack"),
    "dgpu": ("compute_capability", "memory_gib"),
    "cpu": (),
}
# A number above these is a slip of units (bytes for GiB, MB/s for GB/s), not a device of these years.
BOUNDS = {
    "memory_gib": 4096.0,
    "bandwidth_gb_s": 100_000.0,
    "fp32_tflops": 100_000.0,
    "fp16_dense_tflops": 100_000.0,
    "int8_dense_tops": 100_000.0,
    "int8_sparse_tops": 200_000.0,
    "runtime_mib": 1_000_000.0,
}
VERSION_FIGURES = ("compute_capability", "min_jetpack", "last_jetpack")


@dataclass(frozen=True)
class Figure:
    """One fact about a device; its key names the unit. `confirmed`: read in a document or on a device."""

    key: str
    value: float | str
    source: str
    confirmed: bool


def _text(value: object) -> str | None:
    return None if isinstance(value, str) and value.strip() else "a text"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _mib(value: object) -> str | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 10_000_000
    return None if good else "a number of MiB above 0"


def _count(value: object) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 16
    return None if good else "a whole number from 0 to 16"


def _texts(value: object) -> str | None:
    good = isinstance(value, list) and value and all(isinstance(item, str) and item.strip() for item in value)
    return None if good else "a list of texts"


def _table(value: object) -> str | None:
    return None if isinstance(value, dict) else "a table"


KEYS: dict[str, tuple[Callable[[object], str | None], bool]] = {
    "id": (_text, True),
    "name": (_text, True),
    "kind": (_text, True),
    "engine": (_text, True),
    "precisions": (_texts, True),
    "shared_memory": (_flag, True),
    "family": (_text, False),
    "rtx_stand_in": (_text, False),
    "model_phrases": (_texts, False),
    "budget_mib": (_mib, False),
    "workspace_mib": (_mib, False),
    "aux_streams": (_count, False),
    "figures": (_table, False),
    "power_modes": (_table, False),
}


def _unknown(keys: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in keys:
        if key not in known:
            raise TargetError(f"{where}: unknown key {key!r}; known are {', '.join(known)}")


def _one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    if value not in allowed:
        raise TargetError(f"{where} is {value!r}; it must be one of {', '.join(allowed)}")


def check_keys(raw: Mapping[str, Any], where: str) -> None:
    """Top-level keys of a profile: known, present where needed, of the right type and choice."""
    _unknown(raw, tuple(KEYS), where)
    for key, (fault_of, needed) in KEYS.items():
        if key not in raw:
            if needed:
                raise TargetError(f"{where}: {key!r} is missing")
            continue
        fault = fault_of(raw[key])
        if fault:
            raise TargetError(f"{where}: {key!r} must be {fault}, not {raw[key]!r}")
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", raw["id"]):
        raise TargetError(f"{where}: 'id' is {raw['id']!r}; it may have a-z, 0-9 and underscores")
    _one_of(raw["kind"], KINDS, f"{where}: 'kind'")
    _one_of(raw["engine"], ENGINES[raw["kind"]], f"{where}: 'engine'")
    for precision in raw["precisions"]:
        _one_of(precision, PRECISIONS, f"{where}: a precision")
    if len(set(raw["precisions"])) < len(raw["precisions"]):
        raise TargetError(f"{where}: 'precisions' names one twice")
    if raw["kind"] == "jetson" and "family" not in raw:
        raise TargetError(f'{where}: a jetson needs \'family\', such as "orin" or "thor"')


def _value_fault(key: str, value: object) -> str | None:
    if key in VERSION_FIGURES:
        if isinstance(value, str):
            version_key(value)
            return None
        return 'a version in quotes, such as "8.7"'
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= BOUNDS[key]
    return None if good else f"a number above 0 and at most {BOUNDS[key]:g}"


def figure(key: str, raw: object, where: str) -> Figure:
    """One entry of `[figures]`: a table of `value`, `confirmed` and `source`."""
    spot = f"{where}: figure {key!r}"
    if not isinstance(raw, dict):
        form = "{ value = ..., confirmed = ..., source = ... }"
        raise TargetError(f"{spot} must be a table {form}, not {raw!r}")
    _unknown(raw, ("value", "confirmed", "source"), spot)
    for part in ("value", "confirmed", "source"):
        if part not in raw:
            raise TargetError(f"{spot} has no {part!r}")
    if _flag(raw["confirmed"]):
        raise TargetError(f"{spot}: 'confirmed' must be true or false, not {raw['confirmed']!r}")
    if _text(raw["source"]):
        raise TargetError(f"{spot}: 'source' must say where the figure is from")
    try:
        fault = _value_fault(key, raw["value"])
    except TargetError as error:
        raise TargetError(f"{spot}: {error}") from None
    if fault:
        raise TargetError(f"{spot}: 'value' must be {fault}, not {raw['value']!r}")
    value = raw["value"] if isinstance(raw["value"], str) else float(raw["value"])
    return Figure(key, value, raw["source"], raw["confirmed"])


def figures(raw: Mapping[str, Any], kind: str, where: str) -> dict[str, Figure]:
    """All figures of a profile by key; raises `TargetError` for an unknown, wrong or missing one."""
    _unknown(raw, (*VERSION_FIGURES, *BOUNDS), f"{where}: figures")
    for key in NEEDED_FIGURES[kind]:
        if key not in raw:
            raise TargetError(f"{where}: a {kind} needs the figure {key!r}")
    return {key: figure(key, value, where) for key, value in raw.items()}


def power_modes(raw: Mapping[str, Any], where: str) -> tuple[tuple[int, str], ...]:
    """Power modes as (nvpmodel id, name), sorted by id."""
    for key, name in raw.items():
        if not key.isascii() or not key.isdigit() or not isinstance(name, str):
            raise TargetError(f'{where}: power mode {key!r} must be a number and a name, such as 0 = "15W"')
    return tuple(sorted((int(key), name) for key, name in raw.items()))
