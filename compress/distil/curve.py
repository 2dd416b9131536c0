"""``python -m compress.distil.curve RUN... -o curve.svg``: quality against training time, as a picture.

Reads the ``evaluations.jsonl`` that `compress.distil.evaluate` keeps in each RUN; a line each set of stages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Annotated, Any

import typer

from compress.command import one_line
from compress.distil.evaluate import NAME
from compress.labels.store import write_atomically
from edgevoice.errors import EdgevoiceError

WIDTH, HEIGHT = 640, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 40, 64
COLOURS = ("#2563a8", "#c2571a", "#3d8b6e", "#8a6bb8", "#b3261e", "#5a6675")
STEPS, LEGEND = 5, 18


@dataclass(frozen=True)
class Point:
    """Training hours, and the figure with its 95% interval."""

    hours: float
    mean: float
    low: float
    high: float


def read(folders: Sequence[Path], measure: str) -> dict[str, list[Point]]:
    """Each set of stages' points in the order of their training time."""
    series: dict[str, list[Point]] = {}
    known: set[str] = set()
    for folder in folders:
        for row in _rows(folder / NAME):
            known.update(row["figures"])
            if measure in row["figures"]:
                name = " + ".join(sorted(row.get("stages", {"vocoder": {}})))
                label = f"{folder.name}: {name}" if len(folders) > 1 else name
                series.setdefault(label, []).append(_point(row, measure))
    if not series:
        there = f": there are {', '.join(sorted(known))}" if known else ""
        raise EdgevoiceError(f"no evaluation there measured {measure}{there}")
    return {name: sorted(points, key=lambda point: point.hours) for name, points in series.items()}


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:
        raise EdgevoiceError(f"{path} does not exist: run python -m compress.distil.evaluate first") from None
    except (OSError, ValueError) as error:
        raise EdgevoiceError(f"{path} is damaged ({error}): remove the line that is no JSON") from None


def _point(row: Mapping[str, Any], measure: str) -> Point:
    figure = row["figures"][measure]
    return Point(row["seconds"] / 3600, figure["mean"], figure["low"], figure["high"])


def draw(series: Mapping[str, Sequence[Point]], measure: str) -> str:
    """An SVG of its own: lines through the means, a stroke for each interval."""
    points = [point for row in series.values() for point in row]
    wide = max(point.hours for point in points) * 1.05 or 1.0
    low, high = min(point.low for point in points), max(point.high for point in points)
    margin = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    low, high = low - margin, high + margin

    def x(hours: float) -> float:
        return LEFT + hours / wide * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for step in range(STEPS):
        share = step / (STEPS - 1)
        value, hours = low + share * (high - low), share * wide
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="#d9dfe7"/>')
        parts.append(_text(LEFT - 8, y(value) + 4, f"{value:.3g}", "end"))
        parts.append(_text(x(hours), HEIGHT - BOTTOM + 18, f"{hours:.2g}", "middle"))
    parts.append(_text(WIDTH - RIGHT, HEIGHT - BOTTOM + 36, "hours of training", "end"))
    for number, (name, row) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x(p.hours):.1f},{y(p.mean):.1f}" for p in row)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for p in row:
            parts.append(f'<path d="M{x(p.hours):.1f} {y(p.low):.1f}V{y(p.high):.1f}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x(p.hours):.1f}" cy="{y(p.mean):.1f}" r="3.5" fill="{colour}"/>')
        parts.append(_text(LEFT, HEIGHT - 8 + number * LEGEND, f"— {name}", "start", colour))
    parts.append(_text(LEFT, 22, f"{measure} against the teacher, 95% intervals over sentences", "start"))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT + LEGEND * len(series)}" '
        f'font-family="system-ui, sans-serif" font-size="12"><rect width="100%" height="100%" fill="#fff"/>'
        f"{''.join(parts)}</svg>\n"
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#1b2330") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'


def run(
    folders: Annotated[list[Path], typer.Argument(help="folders that hold evaluations.jsonl")],
    out: Annotated[Path, typer.Option("-o", "--out", help="the picture to write, an SVG")],
    measure: Annotated[str, typer.Option(help="the figure to draw")] = "log_mel_l1",
) -> None:
    """Draw a figure's curve against the hours of training."""
    series = read(folders, measure)
    write_atomically(out, draw(series, measure).encode())
    print(f"{out}: {sum(map(len, series.values()))} evaluations of {len(series)} sets of stages")


if __name__ == "__main__":
    with one_line():
        typer.run(run)
