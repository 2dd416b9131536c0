"""Device profiles: what a voice is made for, as data."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from targets import jetpack, memory, schema, toml
from targets.errors import TargetError
from targets.schema import Figure

MIB = 1 << 20
GIB = 1 << 30

# The default budget where a profile gives none. A quarter leaves the system, a desktop and the rest of an
# application room on the smallest board (1 GiB of 4); above 2 GiB a voice is not small, whatever the board.
BUDGET_SHARE = 0.25
BUDGET_CAP = 2 * GIB
# Scratch memory that an engine builder may use, as a share of the budget, where a profile does not say.
WORKSPACE_SHARE = 0.25


@dataclass(frozen=True)
class Target:
    """One device. Sizes in bytes; bandwidth in GB/s; throughput in 1e12 operations a second.

    `precisions` are those that pay off there, best first. `budget_bytes` is what a voice may occupy in all;
    `budget_rule` says where that comes from. `rtx_stand_in` is the compute capability that TensorRT for
    RTX can build for in this device's place. `figures` holds the source of every fact.
    """

    id: str
    name: str
    kind: str
    engine: str
    precisions: tuple[str, ...]
    shared_memory: bool
    memory_bytes: int
    budget_bytes: int
    budget_rule: str
    workspace_bytes: int
    aux_streams: int = 0
    compute_capability: str | None = None
    bandwidth_gb_s: float | None = None
    fp32_tflops: float | None = None
    fp16_dense_tflops: float | None = None
    int8_dense_tops: float | None = None
    int8_sparse_tops: float | None = None
    runtime_bytes: int | None = None
    family: str | None = None
    min_jetpack: str | None = None
    last_jetpack: str | None = None
    rtx_stand_in: str | None = None
    power_modes: tuple[tuple[int, str], ...] = ()
    model_phrases: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Keys of the figures that nobody has read in a document or on a device."""
        return tuple(figure.key for figure in self.figures if not figure.confirmed)

    def refusal(self) -> str | None:
        """Why edgevoice does not run on this device; None where it does."""
        if self.last_jetpack is None:
            return None
        last = jetpack.find(self.last_jetpack)
        reason = last.refusal()
        return None if reason is None else f"{self.name} is not supported: its last {reason}"

    def check_jetpack(self, version: str) -> jetpack.JetPack:
        """The JetPack release of this number; `TargetError` if edgevoice or this board cannot run on it."""
        if self.kind != "jetson":
            raise TargetError(f"{self.name} is no Jetson: it has no JetPack")
        release = jetpack.check(version, self.family)
        if self.min_jetpack and jetpack.version_key(version) < jetpack.version_key(self.min_jetpack):
            raise TargetError(f"{self.name} needs JetPack {self.min_jetpack} or newer, not {version}")
        return release

    def to_dict(self) -> dict[str, Any]:
        """All fields in plain JSON types; figures as key: {value, source, confirmed}."""
        raw = asdict(self)
        raw["figures"] = {
            f.key: {"value": f.value, "source": f.source, "confirmed": f.confirmed} for f in self.figures
        }
        raw["power_modes"] = {str(number): name for number, name in self.power_modes}
        for key in ("precisions", "model_phrases"):
            raw[key] = list(raw[key])
        return raw


def _budget(raw: Mapping[str, Any], memory_bytes: int, available: int | None) -> tuple[int, str]:
    if "budget_mib" in raw:
        return int(raw["budget_mib"] * MIB), "given by the profile"
    base, of_what = (memory_bytes, "the memory") if available is None else (available, "the memory free now")
    share = int(base * BUDGET_SHARE)
    rule = f"{BUDGET_SHARE:.0%} of {of_what}, at most {BUDGET_CAP // GIB} GiB"
    return min(share, BUDGET_CAP), rule


def _number(figures: Mapping[str, Figure], key: str) -> float | None:
    figure = figures.get(key)
    return None if figure is None or isinstance(figure.value, str) else figure.value


def _version(figures: Mapping[str, Figure], key: str) -> str | None:
    figure = figures.get(key)
    return figure.value if figure is not None and isinstance(figure.value, str) else None


def parse(raw: Mapping[str, Any], where: str, machine: memory.Memory | None = None) -> Target:
    """A profile's TOML -> Target; `where` names it in messages.

    Where a CPU profile gives no memory it is `machine`'s, which is read from this machine unless given.
    Raises `TargetError` on unknown keys, wrong types, bounds and missing figures.
    """
    schema.check_keys(raw, where)
    figures = schema.figures(raw.get("figures", {}), raw["kind"], where)
    modes = schema.power_modes(raw.get("power_modes", {}), where)
    gib, available = _number(figures, "memory_gib"), None
    if gib is None:
        machine = machine or memory.read()
        available = machine.available
    memory_bytes = int(gib * GIB) if gib is not None else (machine or memory.read()).total
    budget, rule = _budget(raw, memory_bytes, available)
    if gib is not None and budget > memory_bytes:
        raise TargetError(f"{where}: 'budget_mib' is more than the device's memory of {gib:g} GiB")
    runtime = _number(figures, "runtime_mib")
    return Target(
        id=raw["id"],
        name=raw["name"],
        kind=raw["kind"],
        engine=raw["engine"],
        precisions=tuple(raw["precisions"]),
        shared_memory=raw["shared_memory"],
        memory_bytes=memory_bytes,
        budget_bytes=budget,
        budget_rule=rule,
        workspace_bytes=int(raw["workspace_mib"] * MIB)
        if "workspace_mib" in raw
        else int(budget * WORKSPACE_SHARE),
        aux_streams=raw.get("aux_streams", 0),
        compute_capability=_version(figures, "compute_capability"),
        bandwidth_gb_s=_number(figures, "bandwidth_gb_s"),
        fp32_tflops=_number(figures, "fp32_tflops"),
        fp16_dense_tflops=_number(figures, "fp16_dense_tflops"),
        int8_dense_tops=_number(figures, "int8_dense_tops"),
        int8_sparse_tops=_number(figures, "int8_sparse_tops"),
        runtime_bytes=None if runtime is None else int(runtime * MIB),
        family=raw.get("family"),
        min_jetpack=_version(figures, "min_jetpack"),
        last_jetpack=_version(figures, "last_jetpack"),
        rtx_stand_in=raw.get("rtx_stand_in"),
        power_modes=modes,
        model_phrases=tuple(raw.get("model_phrases", ())),
        figures=tuple(figures.values()),
    )


def names() -> list[str]:
    """Names of the shipped profiles, refused ones included, sorted."""
    return toml.packaged_profiles()


def _is_path(name: str) -> bool:
    return name.endswith(".toml") or os.sep in name


def _unknown(name: str) -> TargetError:
    usable = [target.id for target in all_targets() if target.refusal() is None]
    near = difflib.get_close_matches(name, usable, n=3, cutoff=0.4)
    nearest = "nearest is" if len(near) == 1 else "nearest are"
    known = f"{nearest} {', '.join(near)}" if near else f"known are {', '.join(usable)}"
    return TargetError(
        f"there is no target {name!r}: {known}; or give the path of a profile of your own (.toml)"
    )


def read(name: str | Path) -> Target:
    """As `load`, without asking whether edgevoice runs on the device."""
    text = str(name)
    if _is_path(text):
        return parse(toml.from_file(Path(text)), text)
    wanted = text.strip().lower().replace("-", "_").replace(" ", "_")
    if wanted not in names():
        raise _unknown(text)
    return parse(toml.packaged(f"profiles/{wanted}.toml"), f"target {wanted}")


def load(name: str | Path) -> Target:
    """The target of this name, or of this path to a TOML file.

    Small and capital letters, hyphens and underscores do not matter in a name. Raises `TargetError` for an
    unknown name (with the nearest ones), a faulty file, and a device whose software is too old to run on.
    """
    target = read(name)
    reason = target.refusal()
    if reason:
        raise TargetError(reason)
    return target


def all_targets() -> list[Target]:
    """Every shipped profile, refused ones included, sorted by id."""
    return [read(name) for name in names()]
