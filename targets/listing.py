"""All targets at a glance, for the command line and for machines."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from targets.profile import GIB, Target, all_targets
from targets.render import columns

WIDTH = 79
MORE = "names and all of this for machines: edgevoice targets --json"


@dataclass(frozen=True)
class TargetRow:
    """One target in the list. `status` is "ok", "refused: why" or "unconfirmed figures: how many".

    `unconfirmed`: the figures that nobody has read in a document or on a device.
    """

    id: str
    name: str
    engine: str
    compute_capability: str
    memory_bytes: int
    budget_bytes: int
    precisions: tuple[str, ...]
    status: str
    unconfirmed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "precisions": [*self.precisions], "unconfirmed": [*self.unconfirmed]}

    @property
    def refused(self) -> bool:
        return self.status.startswith("refused")

    def doubt(self, figure: str) -> str:
        """The mark that stands behind a figure in the table."""
        return "?" if figure in self.unconfirmed else ""


def status(target: Target) -> str:
    """ "ok", "refused: why" or "unconfirmed figures: how many"."""
    reason = target.refusal()
    if reason:
        return f"refused: {reason}"
    return f"unconfirmed figures: {len(target.unconfirmed)}" if target.unconfirmed else "ok"


def row(target: Target) -> TargetRow:
    """A target as a row of the list."""
    return TargetRow(
        target.id,
        target.name,
        target.engine,
        target.compute_capability or "-",
        target.memory_bytes,
        target.budget_bytes,
        target.precisions,
        status(target),
        target.unconfirmed,
    )


def table(targets: Sequence[Target] | None = None) -> list[TargetRow]:
    """Rows of the given targets, or of all shipped ones, in their order."""
    return [row(target) for target in (all_targets() if targets is None else targets)]


def text(rows: Sequence[TargetRow]) -> str:
    """The rows as an aligned table, and which figures are unconfirmed where."""
    cells = [["target", "engine", "cc", "memory", "budget", "precisions", ""]]
    for r in rows:
        capability = r.compute_capability + r.doubt("compute_capability")
        sizes = [f"{r.memory_bytes / GIB:.0f} GiB{r.doubt('memory_gib')}", f"{r.budget_bytes / GIB:.1f} GiB"]
        refused = "refused" if r.refused else ""
        cells.append([r.id, r.engine, capability, *sizes, " ".join(r.precisions), refused])
    return "\n".join([columns(cells, frozenset({3, 4})), *_refused(rows), *_doubts(rows), "", MORE])


def _refused(rows: Sequence[TargetRow]) -> list[str]:
    reasons = [_wrapped(f"{row.id}: ", row.status.partition(": ")[2]) for row in rows if row.refused]
    return ["", "refused", *reasons] if reasons else []


def _doubts(rows: Sequence[TargetRow]) -> list[str]:
    known = dict.fromkeys(figure for row in rows for figure in row.unconfirmed)
    if not known:
        return []
    lines = [_wrapped(f"{figure}: ", ", ".join(r.id for r in rows if r.doubt(figure))) for figure in known]
    return ["", "unconfirmed (? above): read in no document and on no device yet", *lines]


def _wrapped(name: str, text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent=f"  {name}", subsequent_indent="      ")
