"""How fast a bundle speaks and what it takes: every figure with how it was measured."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish
from edgevoice.progress import track

COLD_RUNS = 10
WARM_RUNS = 10
QUICK_RUNS = 3
LIMIT_SECONDS = 3600
BUSY = 0.5
"""By how much others' load and our threads may pass the number of CPUs: a quiet machine has some load too."""

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
    engines: str = ""
    remark: str = ""
    """Why stages run elsewhere than the bundle was made for; empty if none does."""
    load_before: float = 0.0
    """Processes that wanted a CPU just before, the average of a minute."""
    board: str = ""
    """Power mode, clocks, temperature and throttling just after; empty where nothing is known."""

    @property
    def busy(self) -> bool:
        """Whether there was too little left of the machine for figures to quote."""
        return self.load_before + self.threads > (os.cpu_count() or 1) + BUSY

    @property
    def few_runs(self) -> bool:
        """Whether it is a look and no measurement: medians of so few runs move with the machine's mood."""
        warm = (spread for figures in self.warm.values() for spread in figures.values())
        return min(spread.runs for spread in (*self.cold.values(), *warm)) < min(COLD_RUNS, WARM_RUNS)

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "few_runs": self.few_runs, "busy": self.busy}


def run(
    bundle: Path,
    threads: int,
    cold_runs: int = COLD_RUNS,
    warm_runs: int = WARM_RUNS,
    engine: Wish = "",
) -> Report:
    """Measure the bundle with ``threads`` threads, in processes of their own."""
    load_before = os.getloadavg()[0]
    colds = [_worker(bundle, threads, 0, engine) for _ in track(range(cold_runs), "cold starts", cold_runs)]
    warm = _worker(bundle, threads, warm_runs, engine)
    texts = {
        name: {figure: Spread.of(values) for figure, values in figures.items()}
        for name, figures in warm["warm"].items()
    }
    cold = {name: Spread.of([row[name] for row in colds]) for name in ("load", "first_sound")}
    peak = Spread.of([row["peak_mib"] for row in colds])
    told = next((row for row in (warm, *colds) if row["remark"]), warm)
    return Report(
        str(bundle),
        threads,
        cold,
        texts,
        warm["shares"],
        peak,
        warm["host"],
        told["engines"],
        told["remark"],
        load_before,
        _board(),
    )


def _board() -> str:
    """Read while it is still warm; empty where the machine tells nothing of it."""
    from targets import board, host  # not above: see `Spread.of`

    machine = host.read()
    state = board.read(jetson=machine.is_jetson, card=bool(machine.cards))
    return state.line() if state.tells else ""


def _worker(bundle: Path, threads: int, runs: int, engine: Wish = "") -> dict[str, Any]:
    command = [sys.executable, "-m", "edgevoice.bench.worker", str(bundle), str(threads), str(runs), engine]
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
    lines = [f"{report.bundle}, {_count(report.threads)}, {report.host}"]
    if report.few_runs:
        lines.append(f"FEW RUNS, a first look: {COLD_RUNS} of each kind or more make a figure to quote")
    if report.busy:
        cpus = f"the {os.cpu_count()} CPUs had a load of {report.load_before:.1f} already"
        lines.append(f"BUSY, {cpus}: measure again on a quiet machine for figures to quote")
    lines += [report.engines, *([f"note: {report.remark}"] if report.remark else [])]
    lines += [*([f"after the runs: {report.board}"] if report.board else []), ""]
    lines.append(f"{'cold start (new process)':34}{'median':>10}{'p95':>10}   runs")
    for name, spread in report.cold.items():
        lines.append(_line(name.replace("_", " "), spread, _time))
    lines.append(_line("peak memory", report.peak_mib, lambda mib: f"{_three(mib)} MiB"))
    for text, figures in report.warm.items():
        lines += ["", f"{'warm, ' + text + ' sentence':34}{'median':>10}{'p95':>10}   runs"]
        lines += [_line(*_row(name, spread)) for name, spread in figures.items()]
    shares = ", ".join(f"{name} {100 * share:.0f} %" for name, share in report.shares.items())
    return "\n".join([*lines, "", f"shares of the time: {shares}"])


def _count(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def _row(name: str, spread: Spread) -> tuple[str, Spread, Callable[[float], str]]:
    if name == "rtf":
        return "real-time factor", spread, _three
    return name.replace("_", " "), spread, _time


def _line(name: str, spread: Spread, text: Callable[[float], str]) -> str:
    return f"  {name:32}{text(spread.median):>10}{text(spread.p95):>10}{spread.runs:7d}"


def _time(milliseconds: float) -> str:
    if milliseconds < 1000:
        return f"{_three(milliseconds)} ms"
    return f"{_three(milliseconds / 1000)} s"


def _three(value: float) -> str:
    """With three significant digits and no exponent."""
    before = math.floor(math.log10(value)) + 1 if value > 0 else 1
    return f"{value:,.{max(0, 3 - before)}f}"
