"""What a voice will occupy on a target, before anything is built.

The memory that counts is weights + one arena shared by all stages + buffers + the runtime itself. Stages run
one after another, so the arena is as large as the largest stage's, not their sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from targets import advice, overhead, render
from targets.errors import TargetError
from targets.overhead import ESTIMATE, READING
from targets.profile import Target
from targets.schema import PRECISIONS

PARTS = ("weights", "arena", "buffers")


@dataclass(frozen=True)
class StageCost:
    """Bytes of one stage: its weights, its working memory at the largest chunk, its input and output buffers.

    `read` names the parts ("weights", "arena", "buffers") that were read from a file or a built engine; the
    others are estimates. Stages of one `engine` share an arena.
    """

    name: str
    precision: str
    weights_bytes: int
    arena_bytes: int
    buffer_bytes: int
    read: frozenset[str] = frozenset()
    engine: str = ""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise TargetError(
                f"stage {self.name}: precision {self.precision!r} is none of {', '.join(PRECISIONS)}"
            )
        if min(self.weights_bytes, self.arena_bytes, self.buffer_bytes) < 0:
            raise TargetError(f"stage {self.name}: a size below zero")
        if not self.read <= set(PARTS):
            raise TargetError(f"stage {self.name}: 'read' may name {', '.join(PARTS)}")


@dataclass(frozen=True)
class Row:
    """One line of a plan: its bytes, "estimate" or "reading", and on what basis."""

    name: str
    bytes: int
    mark: str
    basis: str


@dataclass(frozen=True)
class Plan:
    """A voice on a target. `limit_bytes` is the budget, or the memory free now where that is less.

    `chunk_frames`: of the bundle's long chunks, for advice.
    """

    target: Target
    stages: tuple[StageCost, ...]
    rows: tuple[Row, ...]
    available_bytes: int | None = None
    alternatives: tuple[tuple[str, int], ...] = ()
    chunk_frames: int | None = None

    @property
    def total_bytes(self) -> int:
        return sum(row.bytes for row in self.rows)

    @property
    def budget_bytes(self) -> int:
        return self.target.budget_bytes

    @property
    def limit_bytes(self) -> int:
        return (
            self.budget_bytes
            if self.available_bytes is None
            else min(self.budget_bytes, self.available_bytes)
        )

    @property
    def fits(self) -> bool:
        return self.total_bytes <= self.limit_bytes

    def row(self, name: str) -> Row:
        """The row "weights", "arena", "buffers" or "runtime"."""
        return next(row for row in self.rows if row.name == name)

    def refusal(self) -> str | None:
        """One line with the numbers, the largest parts and what would fit; None where the voice fits."""
        return None if self.fits else advice.refusal(self)

    def table(self) -> str:
        """The plan as text: a line a stage, a line a part, total against budget."""
        return render.table(self)

    def chart(self, width: int = 40) -> str:
        """A bar a part and one for the total, with the limit marked; `width` characters for the longest."""
        return render.chart(self, width)

    def to_dict(self) -> dict[str, Any]:
        """The plan in plain JSON types."""
        stages = [{**asdict(stage), "read": sorted(stage.read)} for stage in self.stages]
        rows = [asdict(row) for row in self.rows]
        return {
            "target": self.target.id,
            "stages": stages,
            "rows": rows,
            "total_bytes": self.total_bytes,
            "budget_bytes": self.budget_bytes,
            "budget_rule": self.target.budget_rule,
            "available_bytes": self.available_bytes,
            "limit_bytes": self.limit_bytes,
            "fits": self.fits,
            "refusal": self.refusal(),
        }


def _mark(stages: Sequence[StageCost], part: str) -> str:
    return READING if all(part in stage.read for stage in stages) else ESTIMATE


def part_rows(stages: Sequence[StageCost]) -> tuple[Row, Row, Row]:
    """Weights (sum), the shared arena (largest stage, of each engine), buffers (sum)."""
    engines = dict.fromkeys(stage.engine for stage in stages)
    largest = [max((s for s in stages if s.engine == e), key=lambda s: s.arena_bytes) for e in engines]
    names = " and ".join(stage.name for stage in largest)
    count = f"{len(stages)} stage" + ("s" if len(stages) > 1 else "")
    return (
        Row("weights", sum(s.weights_bytes for s in stages), _mark(stages, "weights"), f"sum of {count}"),
        Row(
            "arena",
            sum(stage.arena_bytes for stage in largest),
            _mark(stages, "arena"),
            f"shared, as large as the largest stage ({names})"
            if len(largest) == 1
            else f"one an engine, as large as its largest stage ({names})",
        ),
        Row("buffers", sum(s.buffer_bytes for s in stages), _mark(stages, "buffers"), f"sum of {count}"),
    )


def _runtime_row(target: Target, runtime_bytes: int | None, beside_bytes: int) -> Row:
    if min(runtime_bytes or 0, beside_bytes) < 0:
        raise TargetError("the runtime's size is below zero")
    if runtime_bytes is not None:
        return Row("runtime", runtime_bytes + beside_bytes, READING, "read on the device")
    cost = overhead.of(target)
    if beside_bytes:
        return Row("runtime", cost.bytes + beside_bytes, ESTIMATE, f"{cost.basis}; the rest was read here")
    return Row("runtime", cost.bytes, cost.mark, cost.basis)


def plan(
    stages: Sequence[StageCost],
    target: Target,
    *,
    runtime_bytes: int | None = None,
    beside_bytes: int = 0,
    available_bytes: int | None = None,
    alternatives: Mapping[str, Sequence[StageCost]] | None = None,
    chunk_frames: int | None = None,
) -> Plan:
    """The plan of these stages on a target.

    `runtime_bytes`: the libraries' and context's size as read on the device; without it the figure of the
    engine's kind stands. `beside_bytes`: what was read that belongs to it and is in neither figure.
    `available_bytes`: memory free now, which may be less than the budget.
    `alternatives`: other ways to run the same voice (recipe, precision or chunk length: name -> its stages),
    tried in order for the refusal's advice. Raises `TargetError` for no stages or two of one name.
    """
    if not stages:
        raise TargetError("a plan needs at least one stage")
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        raise TargetError(f"a plan counts each stage once, but has {', '.join(names)}")
    runtime = _runtime_row(target, runtime_bytes, beside_bytes)
    others = tuple(
        (name, sum(row.bytes for row in part_rows(costs)) + runtime.bytes)
        for name, costs in (alternatives or {}).items()
        if costs
    )
    rows = (*part_rows(stages), runtime)
    return Plan(target, tuple(stages), rows, available_bytes, others, chunk_frames)
