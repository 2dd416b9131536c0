"""Plans and lists as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from targets.planning import Plan


def mib(size: int | float) -> str:
    """Bytes as text in MiB, one decimal."""
    return f"{size / (1 << 20):.1f} MiB"


def megabytes(size: int) -> str:
    """Bytes as text in MB, as disks and downloads are counted."""
    return f"{size / 1e6:.1f} MB"


def columns(rows: Sequence[Sequence[str]], right: frozenset[int] = frozenset()) -> str:
    """Rows of cells as aligned text; `right` are the columns that end flush."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[i].rjust(w) if i in right else row[i].ljust(w) for i, w in enumerate(widths)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def table(plan: Plan) -> str:
    """Two blocks: a line a stage, then a line a part with total and limit."""
    stages = [["stage", "precision", "weights", "arena", "buffers"]]
    for s in plan.stages:
        stages.append([s.name, s.precision, mib(s.weights_bytes), mib(s.arena_bytes), mib(s.buffer_bytes)])
    parts = [["part", "size", "is", "basis"]]
    parts += [[row.name, mib(row.bytes), row.mark, row.basis] for row in plan.rows]
    verdict = "fits" if plan.fits else "does not fit"
    parts.append(["total", mib(plan.total_bytes), "", verdict])
    parts.append(["budget", mib(plan.budget_bytes), "", plan.target.budget_rule])
    if plan.available_bytes is not None:
        parts.append(["free now", mib(plan.available_bytes), "reading", ""])
    head = f"plan on {plan.target.id} ({plan.target.name}, {plan.target.engine})"
    return "\n\n".join([head, columns(stages, frozenset({2, 3, 4})), columns(parts, frozenset({1}))])


def _bar(size: int, limit: int, scale: float) -> str:
    """`#` for what fits below the limit, `!` for what is above it, `|` where the limit is."""
    filled, mark = round(size * scale), round(limit * scale)
    inside = "#" * min(filled, mark)
    return inside.ljust(mark, " ") + "|" + "!" * max(0, filled - mark)


def chart(plan: Plan, width: int = 40) -> str:
    """Bars of the parts and the total on one scale."""
    limit = plan.limit_bytes
    scale = width / max(limit, plan.total_bytes, 1)
    rows = [(row.name, row.bytes) for row in plan.rows] + [("total", plan.total_bytes)]
    cells = [[name, mib(size), _bar(size, limit, scale)] for name, size in rows]
    return columns(cells, frozenset({1})) + f"\n(| is the limit, {mib(limit)})"
