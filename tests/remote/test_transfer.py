"""Rates, pieces and the bar."""

from __future__ import annotations

import io
import time

import pytest

from edgevoice.errors import EdgevoiceError
from edgevoice.remote import transfer
from edgevoice.remote.transfer import Meter, line, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [("", None), ("1000", 1000.0), ("500k", 5e5), ("1.5M", 1.5e6), ("2MB/s", 2e6), ("1G", 1e9)],
)
def test_a_rate(text: str, rate: float | None) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["fast", "-1", "0", "999", "1e6", "k", "5 M"])
def test_what_is_no_rate(text: str) -> None:
    with pytest.raises(EdgevoiceError, match="such as 500k or 2M"):
        parse_rate(text)


def test_it_holds_back_to_the_rate() -> None:
    meter = Meter(20_000, 100_000.0, io.StringIO())
    start = time.monotonic()
    for _ in range(10):
        meter.add(2000)
    assert time.monotonic() - start >= 0.2
    assert meter.done == 20_000


def test_a_slow_line_gets_small_pieces() -> None:
    assert Meter(1, 1000.0, io.StringIO()).piece == 512
    assert Meter(1, 80_000.0, io.StringIO()).piece == 10_000
    assert Meter(1, None, io.StringIO()).piece == transfer.PIECE


def test_the_bar_says_how_far_and_how_long() -> None:
    text = line(10_000_000, 40_000_000, 5.0)
    assert text == "sending [######..................] 10.0/40.0 MB, 2.00 MB/s, about 15 s left"
    assert "about 0 s left" in line(0, 0, 0.0)


def test_the_bar_comes_only_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    out = io.StringIO()
    meter = Meter(100, None, out)
    for second in (1.0, 5.0, 11.0, 12.0, 22.5):
        now[0] = 100.0 + second
        meter.add(10)
    meter.end()
    assert len(out.getvalue().splitlines()) == 2
