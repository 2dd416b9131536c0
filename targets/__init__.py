"""Device profiles as data, the plan of a voice on a device, and what this machine is."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from targets.errors import TargetError

if TYPE_CHECKING:
    from targets.listing import TargetRow, table
    from targets.planning import Plan, Row, StageCost, plan
    from targets.profile import Target, all_targets, load, names

__all__ = [
    "Plan",
    "Row",
    "StageCost",
    "Target",
    "TargetError",
    "TargetRow",
    "all_targets",
    "load",
    "names",
    "plan",
    "table",
]

_PLACES = {
    "listing": ("TargetRow", "table"),
    "planning": ("Plan", "Row", "StageCost", "plan"),
    "profile": ("Target", "all_targets", "load", "names"),
}


def __getattr__(name: str) -> Any:
    # Profiles and plan take 60 ms to import, and a voice that only counts its CPUs needs neither.
    for place, found in _PLACES.items():
        if name in found:
            return getattr(import_module(f"targets.{place}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
