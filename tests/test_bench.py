"""The benchmark's figures are those of the bundle, and a process that fails says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgevoice import bench
from edgevoice.bench import Report, Spread, worker
from edgevoice.errors import EdgevoiceError


@pytest.fixture(scope="module")
def report(tiny_bundle: Path) -> Report:
    return bench.run(tiny_bundle, threads=1, cold_runs=2, warm_runs=2)


def test_figures_are_sane(report: Report, tiny_bundle: Path) -> None:
    assert (report.bundle, report.threads) == (str(tiny_bundle), 1)
    assert set(report.cold) == {"load", "first_sound"}
    assert set(report.warm) == set(bench.TEXTS)
    spreads = [*report.cold.values(), report.peak_mib]
    spreads += [spread for figures in report.warm.values() for spread in figures.values()]
    for spread in spreads:
        assert 0 < spread.median <= spread.p95
        assert spread.runs == 2


def test_the_first_sound_comes_after_loading_and_before_the_end(report: Report) -> None:
    assert report.cold["first_sound"].median > report.cold["load"].median
    for figures in report.warm.values():
        whole = figures["rtf"].median * figures["audio"].median
        assert figures["first_sound"].median < 1.5 * whole  # medians of different runs


def test_longer_texts_sound_longer(report: Report) -> None:
    lengths = [report.warm[name]["audio"].median for name in ("short", "middle", "long")]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 2 * lengths[0]


def test_shares_are_of_one_whole(report: Report) -> None:
    assert set(report.shares) == {"encoder", "acoustic", "vocoder", "text and host"}
    assert sum(report.shares.values()) == pytest.approx(1)
    assert min(report.shares.values()) > 0


def test_peak_memory_is_the_process_s_own_not_its_parent_s(tiny_bundle: Path) -> None:
    """A large parent must not show: the kernel hands `ru_maxrss` down through fork and exec."""
    parent = (
        "import sys; from pathlib import Path; from edgevoice import bench;"
        "ballast = b'x' * 400_000_000; print(bench._worker(Path(sys.argv[1]), 1, 0)['peak_mib'])"
    )
    command = [sys.executable, "-c", parent, str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert 10 < float(done.stdout) < 300


def test_the_report_is_a_table_and_json(report: Report) -> None:
    text = bench.table(report)
    for part in (
        "load  ",
        "first sound",
        "real-time factor",
        "MiB",
        "1 thread,",
        "encoder FP32, acoustic FP32, vocoder FP32 by ONNX Runtime on the CPU",
        report.host,
    ):
        assert part in text
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["cold"]["load"] == {
        "median": report.cold["load"].median,
        "p95": report.cold["load"].p95,
        "runs": 2,
    }


def test_few_runs_are_marked(report: Report) -> None:
    assert report.to_dict()["few_runs"] is True
    assert "FEW RUNS" in bench.table(report)
    many = Spread.of([1.0] * bench.COLD_RUNS)
    cold, warm = {"load": many, "first_sound": many}, {"short": {"rtf": many}}
    full = replace(report, cold=cold, warm=warm, peak_mib=many)
    assert full.to_dict()["few_runs"] is False
    assert "FEW RUNS" not in bench.table(full)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(10_850.0, "10.8 s"), (1000.0, "1.00 s"), (999.4, "999 ms"), (85.26, "85.3 ms"), (0.0, "0.00 ms")],
)
def test_times_have_three_digits_and_a_unit(report: Report, milliseconds: float, text: str) -> None:
    long = replace(report, cold={"load": Spread(milliseconds, milliseconds, 2)})
    (line,) = [line for line in bench.table(long).splitlines() if line.startswith("  load ")]
    assert line.count(text) == 2


def test_a_machine_without_free_cpus_is_marked(report: Report) -> None:
    cpus = os.cpu_count() or 1
    full, quiet = replace(report, load_before=cpus), replace(report, load_before=0.2, threads=cpus)
    assert "BUSY" in bench.table(full)
    assert full.to_dict()["busy"] is True
    assert "BUSY" not in bench.table(quiet)
    assert quiet.to_dict()["busy"] is False


def test_spreads_are_median_and_95th_percentile() -> None:
    spread = Spread.of([float(value) for value in range(101)])
    assert (spread.median, spread.p95, spread.runs) == (50, 95, 101)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('the bundle is broken')", "the bundle is broken"),
        ("raise RuntimeError('out of luck')", "RuntimeError: out of luck"),
        ("import os; os._exit(5)", "ended with status 5"),
        ("import os; os.kill(os.getpid(), 9)", "died of SIGKILL: is the memory enough"),
    ],
)
def test_a_process_that_fails_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, message: str
) -> None:
    run = subprocess.run

    def other(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        assert command[1:3] == ["-m", "edgevoice.bench.worker"]
        return run([sys.executable, "-c", code], **options)

    monkeypatch.setattr(subprocess, "run", other)
    with pytest.raises(EdgevoiceError, match=message) as caught:
        bench.run(tmp_path, 1, 1, 1)
    assert "\n" not in str(caught.value)


def test_a_bundle_that_cannot_be_loaded_is_refused_in_its_words(tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="neither a bundle nor a deployed folder"):
        bench.run(tmp_path, 1, 1, 1)


def test_timed_engines_add_up_their_time() -> None:
    class Engine:
        inputs: tuple[str, ...] = ("x",)

        def run(self, feeds: Any) -> list[Any]:
            return [feeds]

    timed = worker._Timed(Engine())
    before = timed.seconds
    assert timed.run({"x": 1}) == [{"x": 1}]  # type: ignore[dict-item]
    assert timed.seconds > before


def test_a_process_that_fails_without_a_word_or_by_a_nameless_signal_says_so() -> None:
    assert "SIGKILL" in bench._failure(-9, "")
    assert "died of signal 40" in bench._failure(-40, "")
    assert bench._failure(3, " ") == "the measured process ended with status 3"


def test_the_board_s_state_is_shown_where_it_is_known(
    report: Report,
) -> None:
    hot = replace(report, board="power mode 15W, 91 °C (gpu), THROTTLED: cpufreq-cpu0 is held back by heat")
    assert "after the runs: power mode 15W, 91 °C (gpu), THROTTLED" in bench.table(hot)
    assert "after the runs" not in bench.table(replace(report, board=""))
    assert hot.to_dict()["board"] == hot.board
