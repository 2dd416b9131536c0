"""How fast a bundle speaks and what it takes: every figure with how it was measured."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track

COLD_RUNS = 10
WARM_RUNS = 10
QUICK_RUNS = 3
LIMIT_SECONDS = 3600

TEXTS = {
    "short": "Good morning.",
    "middle": "The quick brown fox jumps over the lazy dog today.",
    "long": (
        "When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow, "
        "which is a division of white light into many beautiful colours."
    ),
}


@dataclass(frozen=True)
class Spread:
    """Median and 95th percentile of ``runs`` runs."""

    median: float
    p95: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        # Not above: the measured process imports this package before it can start its clock.
        import numpy as np

        return cls(float(np.median(values)), float(np.percentile(values, 95)), len(values))


@dataclass(frozen=True)
class Report:
    """Milliseconds, except ``rtf`` (synthesis time / audio time) and ``peak_mib``.

    cold: a new process each; "load" and "first_sound" count from its first own line.
    warm: by text length, in one loaded process. shares: of the synthesis time, by step.
    """

    bundle: str
    threads: int
    cold: Mapping[str, Spread]
    warm: Mapping[str, Mapping[str, Spread]]
    shares: Mapping[str, float]
    peak_mib: Spread
    host: str

    @property
    def few_runs(self) -> bool:
        """Whether it is a look and no measurement: medians of so few runs move with the machine's mood."""
        warm = (spread for figures in self.warm.values() for spread in figures.values())
        return min(spread.runs for spread in (*self.cold.values(), *warm)) < min(COLD_RUNS, WARM_RUNS)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "few_runs": self.few_runs}


def run(bundle: Path, threads: int, cold_runs: int = COLD_RUNS, warm_runs: int = WARM_RUNS) -> Report:
    """Measure the bundle with ``threads`` threads, in processes of their own."""
    colds = [_worker(bundle, threads, 0) for _ in track(range(cold_runs), "cold starts", cold_runs)]
    warm = _worker(bundle, threads, warm_runs)
    texts = {
        name: {figure: Spread.of(values) for figure, values in figures.items()}
        for name, figures in warm["warm"].items()
    }
    cold = {name: Spread.of([row[name] for row in colds]) for name in ("load", "first_sound")}
    peak = Spread.of([row["peak_mib"] for row in colds])
    return Report(str(bundle), threads, cold, texts, warm["shares"], peak, warm["host"])


def _worker(bundle: Path, threads: int, runs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "edgevoice.bench.worker", str(bundle), str(threads), str(runs)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        raise EdgevoiceError(f"the measured process did not end within {LIMIT_SECONDS} s") from None
    if done.returncode != 0:
        raise EdgevoiceError(_failure(done.returncode, done.stderr))
    return dict(json.loads(done.stdout))


def _failure(status: int, errors: str) -> str:
    if status < 0:
        killed = _signal(-status)
        return f"the measured process died of {killed}: is the memory enough? See `edgevoice plan`"
    lines = errors.strip().splitlines()
    return lines[-1] if lines else f"the measured process ended with status {status}"


def _signal(number: int) -> str:
    """Its name; the real-time signals between the first and the last have none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def table(report: Report) -> str:
    """The report as text."""
    lines = [f"{report.bundle}, {report.threads} thread(s), {report.host}"]
    if report.few_runs:
        lines.append(f"FEW RUNS, a first look: {COLD_RUNS} of each kind or more make a figure to quote")
    lines.append("")
    lines.append(f"{'cold start (new process)':34}{'median':>10}{'p95':>10}   runs")
    for name, spread in report.cold.items():
        lines.append(_line(name.replace("_", " ") + ", ms", spread))
    lines.append(_line("peak memory, MiB", report.peak_mib))
    for text, figures in report.warm.items():
        lines += ["", f"{'warm, ' + text + ' sentence':34}{'median':>10}{'p95':>10}   runs"]
        lines += [_line(_unit(name), spread) for name, spread in figures.items()]
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in report.shares.items())
    return "\n".join([*lines, "", f"shares of the time: {shares}"])


def _unit(name: str) -> str:
    return {"first_sound": "first sound, ms", "rtf": "real-time factor", "audio": "audio, ms"}[name]


def _line(name: str, spread: Spread) -> str:
    return f"  {name:32}{spread.median:10.4g}{spread.p95:10.4g}{spread.runs:7d}"
