"""Device profiles as data, the plan of a voice on a device, and what this machine is."""

from targets.errors import TargetError
from targets.listing import TargetRow, table
from targets.plan import Plan, Row, StageCost, plan
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
