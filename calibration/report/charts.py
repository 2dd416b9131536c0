"""Charts as inline SVG, 360 units wide: on a phone a unit is a pixel, so their text stays readable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 360


@dataclass(frozen=True)
class Bar:
    """One bar: ``kind`` is its CSS class, ``shown`` the figure as text."""

    label: str
    value: float
    shown: str
    kind: str = "main"


@dataclass(frozen=True)
class Point:
    """One point of a scatter; an empty label is not drawn."""

    x: float
    y: float
    label: str = ""
    kind: str = "main"


def bars(rows: Sequence[Bar], title: str, full: float = 0.0) -> str:
    """Horizontal bars, each under its label; ``full`` is the value of a bar as wide as the chart."""
    scale = WIDTH / max([row.value for row in rows] + [full, 1e-12])
    parts = []
    for index, row in enumerate(rows):
        y = 4 + 34 * index
        bar = f'<rect x="0" y="{y + 17}" width="{max(1.0, row.value * scale):.1f}" height="9" rx="2"'
        parts += [
            f'<text x="0" y="{y + 12}">{escape(_short(row.label))}</text>',
            f'<text x="{WIDTH}" y="{y + 12}" class="figure">{escape(row.shown)}</text>',
            f'{bar} class="{row.kind}"><title>{escape(row.label)}: {escape(row.shown)}</title></rect>',
        ]
    return _svg(4 + 34 * len(rows), title, parts)


def stacked(rows: Sequence[Bar], total: float, limit: float, title: str, limit_label: str) -> str:
    """One bar of several parts against a limit, with a legend below."""
    scale = WIDTH / max(total, limit)
    parts, x = [], 0.0
    for row in rows:
        width = row.value * scale
        parts.append(
            f'<rect x="{x:.1f}" y="20" width="{max(0.5, width):.1f}" height="26" class="{row.kind}">'
            f"<title>{escape(row.label)}: {escape(row.shown)}</title></rect>"
        )
        x += width
    edge = limit * scale
    anchor = "end" if edge > WIDTH / 2 else "start"
    parts += [_line(min(edge, WIDTH - 1), 14, min(edge, WIDTH - 1), 52, "limit")]
    parts += [_note(min(edge, WIDTH), 10, limit_label, anchor)]
    for index, row in enumerate(rows):
        y = 72 + 20 * index
        parts += [
            f'<rect x="0" y="{y - 10}" width="11" height="11" rx="2" class="{row.kind}"/>',
            f'<text x="18" y="{y}">{escape(_short(row.label, 46))}</text>',
            f'<text x="{WIDTH}" y="{y}" class="figure">{escape(row.shown)}</text>',
        ]
    return _svg(72 + 20 * len(rows), title, parts)


def scatter(
    points: Sequence[Point], title: str, across: str, up: str, limit: float | None = None, front: bool = False
) -> str:
    """Points over two axes from 0; ``limit`` is a level line, ``front`` joins the lower envelope to the
    right."""
    left, top, right, bottom = 40, 24, WIDTH - 14, 220
    wide = _ceiling(max([point.x for point in points] + [1e-9]))
    high = _ceiling(max([point.y for point in points] + [limit or 0.0, 1e-9]))

    def place(x: float, y: float) -> tuple[float, float]:
        return left + x / wide * (right - left), bottom - y / high * (bottom - top)

    parts = _axes(wide, high, (left, top, right, bottom), across, up)
    if limit:
        y = place(0, limit)[1]
        parts += [_line(left, y, right, y, "limit"), _note(left + 4, y - 4, f"limit {limit:g}")]
    if front:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(p.x, p.y) for p in _front(points)))
        parts.append(f'<polyline points="{path}" class="front"/>')
    for point in points:
        x, y = place(point.x, point.y)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4.5" class="{point.kind}"/>')
    return _svg(bottom + 34, title, parts + _labels(points, place, right, (top + bottom) / 2))


def _labels(points: Sequence[Point], place: object, right: int, middle: float) -> list[str]:
    """Labels beside their points, moved to the middle's side where they would overlap another."""
    assert callable(place)
    spots = sorted((*place(point.x, point.y), point.label) for point in points if point.label)
    parts: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for x, y, label in reversed(spots):  # the rightmost has nothing beside it that its label could cover
        width = 6.2 * len(label)
        start = x - width - 8 if x + 8 + width > right else x + 8
        level = y + 4
        while any(
            abs(level - other) < 12 and start < end and begin < start + width for other, begin, end in taken
        ):
            level += 12 if y < middle else -12
        taken.append((level, start, start + width))
        parts.append(_note(start, level, label))
    return parts


def _axes(wide: float, high: float, box: tuple[int, int, int, int], across: str, up: str) -> list[str]:
    left, top, right, bottom = box
    parts = [_note(0, 12, up)]
    for step in range(5):
        x, y = left + (right - left) * step / 4, bottom - (bottom - top) * step / 4
        parts += [
            _line(left, y, right, y, "grid"),
            _note(left - 6, y + 4, f"{high * step / 4:.3g}", "end"),
            _note(x, bottom + 15, f"{wide * step / 4:.3g}", "middle"),
        ]
    parts.append(_note(right, bottom + 30, across, "end"))
    return parts


def _front(points: Sequence[Point]) -> list[Point]:
    """Points below every point that lies as far to the right or farther."""
    best, kept = math.inf, []
    for point in sorted(points, key=lambda p: (-p.x, p.y)):
        if point.y < best:
            best = point.y
            kept.append(point)
    return kept[::-1]


def _ceiling(value: float) -> float:
    """A round number, at least ``value``, that four steps divide well."""
    unit = 10.0 ** math.floor(math.log10(value))
    return next(
        unit * step for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10, 12) if unit * step >= value
    )


def _short(label: str, most: int = 40) -> str:
    """The end of a long name: the part that tells layers apart."""
    return label if len(label) <= most else "…" + label[1 - most :]


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _note(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="note" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    body = "".join(parts)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img"><title>{escape(title)}</title>{body}</svg>'
