from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.engines import Contestant
from benchmarks.measure import GAPLESS, verify
from benchmarks.sentences import groups
from edgevoice.bench import TEXTS
from edgevoice.errors import EdgevoiceError


def column(name: str, ours: bool = False) -> Contestant:
    return Contestant(name, "", Path(), ours=ours)


def test_ratios_pair_the_rounds() -> None:
    """The machine is three times slower in the second round: spreads show that, ratios do not."""
    samples = {"time, ms": {"edgevoice": [10.0, 30.0, 10.0], "peer": [50.0, 150.0, 50.0]}, GAPLESS: {}}
    rows = report.summary(samples, [column("edgevoice", ours=True), column("peer")])
    assert list(rows) == ["time, ms"]
    assert rows["time, ms"]["spreads"]["edgevoice"] == {"median": 10.0, "p95": 28.0, "runs": 3}
    assert rows["time, ms"]["ratios"] == {"edgevoice": {"peer": {"median": 5.0, "low": 5.0, "high": 5.0}}}


def test_every_bundle_meets_every_peer_and_the_bundles_before_it() -> None:
    columns = [column("small", ours=True), column("tiny", ours=True), column("a"), column("b")]
    samples = {"time, ms": {"small": [2.0], "tiny": [1.0], "a": [8.0], "b": [250.0]}}
    head, row = report.table(report.summary(samples, columns), columns)
    assert head[5:] == ["a ÷ small", "b ÷ small", "a ÷ tiny", "b ÷ tiny", "small ÷ tiny"]
    assert row == ["time, ms", "2.00", "1.00", "8.00", "250", "4.00", "125.00", "8.00", "250.00", "2.00"]


def test_peers_alone_have_no_ratios() -> None:
    columns = [column("a")]
    head, _ = report.table(report.summary({"time, ms": {"a": [8.0]}}, columns), columns)
    assert head == ["median (p95)", "a"]


def test_text_and_markdown_hold_the_same_cells() -> None:
    lines = [["row", "a"], ["time, ms", "8.00 (9.00)"]]
    assert report.text(lines).splitlines() == ["row                 a", "time, ms  8.00 (9.00)"]
    assert report.markdown(lines).splitlines() == [
        "| row | a |",
        "| --- | ---: |",
        "| time, ms | 8.00 (9.00) |",
    ]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.08567, "0.0857"), (9.9, "9.90"), (1234.5, "1234"), (0, "0.00")]
)
def test_numbers_have_three_figures(value: float, shown: str) -> None:
    assert report.number(value) == shown


def test_the_sentences_of_bench_are_the_default() -> None:
    assert groups(None) == {"short": [TEXTS["short"]], "10 words": [TEXTS["middle"]], "long": [TEXTS["long"]]}
    assert len(TEXTS["middle"].split()) == 10


def test_a_file_is_sorted_by_words(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    ten, seven, long = "one " * 9 + "ten.", "a b c d e f g.", "word " * 16
    file.write_text(f"Hello.\n\n{ten}\n{seven}\n{long}\nFive words are few enough.\n", encoding="utf-8")
    assert groups(file) == {
        "short": ["Hello.", "Five words are few enough."],
        "10 words": [ten],
        "long": [long.strip()],
    }


@pytest.mark.parametrize("content", [b"", b"a b c d e f g\n", b"\xff\xfe"])
def test_a_file_without_such_sentences_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "lines.txt"
    file.write_bytes(content)
    with pytest.raises(EdgevoiceError, match=r"lines\.txt"):
        groups(file)


def test_threads_that_worked_are_counted() -> None:
    before, after = {"1": 5.0, "2": 1.0}, {"1": 9.0, "2": 4.9, "3": 0.1}
    assert verify("a", 2, 1.9, before, after) == 2


def test_more_threads_than_asked_for_are_refused() -> None:
    with pytest.raises(EdgevoiceError, match=r"a worked in 2 threads, 1 were asked for"):
        verify("a", 1, 0.9, {}, {"1": 4.0, "2": 3.9})


def test_more_cpus_than_threads_are_refused() -> None:
    with pytest.raises(EdgevoiceError, match=r"a used 1\.50 CPUs with 1 thread"):
        verify("a", 1, 1.5, {}, {"1": 4.0})
