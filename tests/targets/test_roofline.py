"""The roofline: arithmetic by hand, what limits, and figures that a profile lacks."""

from __future__ import annotations

import dataclasses

import pytest

import targets
from targets.errors import TargetError
from targets.roofline import Work, bound, table

# 10 TFLOPS FP16, 20 dense INT8 TOPS, 68 GB/s.
NANO = targets.load("orin_nano_8gb")


def test_the_times_are_work_over_peak() -> None:
    found = bound(
        Work("vocoder", "fp16", macs=5_000_000_000, weights_bytes=60_000_000, activation_bytes=8_000_000),
        NANO,
    )
    assert found.compute_s == pytest.approx(1e-3)
    assert found.bandwidth_s == pytest.approx(1e-3)
    assert found.missing == ()


def test_the_slower_resource_limits() -> None:
    heavy = bound(Work("vocoder", "fp16", macs=10**10, weights_bytes=1000), NANO)
    assert (heavy.limited_by, heavy.least_s) == ("compute", heavy.compute_s)
    wide = bound(Work("encoder", "fp16", macs=1000, weights_bytes=10**8), NANO)
    assert (wide.limited_by, wide.least_s) == ("bandwidth", wide.bandwidth_s)


def test_int8_counts_dense_throughput_only() -> None:
    work = Work("vocoder", "int8", macs=10**10, weights_bytes=0)
    assert bound(work, NANO).compute_s == pytest.approx(1e-3)
    only_sparse = dataclasses.replace(NANO, int8_dense_tops=None)
    assert bound(work, only_sparse).compute_s is None


def test_a_missing_figure_is_named_and_nothing_is_guessed() -> None:
    thor = targets.load("thor_t5000")
    found = bound(Work("vocoder", "fp16", macs=10**9, weights_bytes=273_000), thor)
    assert found.compute_s is None
    assert found.least_s == found.bandwidth_s == pytest.approx(1e-6)
    assert found.limited_by == "unknown"
    assert found.missing == ("fp16_dense_tflops",)
    nothing = bound(Work("vocoder", "fp32", macs=10**9, weights_bytes=1), targets.load("cpu"))
    assert nothing.least_s is None
    assert nothing.missing == ("fp32_tflops", "bandwidth_gb_s")


def test_the_table_is_marked_an_estimate_and_names_unconfirmed_figures() -> None:
    works = [Work("acoustic", "fp16", 10**9, 10**6), Work("vocoder", "fp16", 10**9, 10**6)]
    text = table(works, NANO, chunk_s=0.5)
    assert "estimate" in text.splitlines()[0]
    assert "RTF at least 0.00080" in text  # 2 stages of 0.2 ms over 0.5 s
    assert "unconfirmed: fp16_dense_tflops" in text
    assert "int8" not in text


def test_the_table_of_a_target_without_figures_gives_no_rtf() -> None:
    text = table([Work("vocoder", "fp32", 10**9, 10**6)], targets.load("cpu"), chunk_s=0.5)
    assert "RTF" not in text
    assert "the profile has no bandwidth_gb_s, fp32_tflops" in text


def test_faulty_work_is_refused() -> None:
    with pytest.raises(TargetError, match="below zero"):
        Work("vocoder", "fp16", -1, 0)
    with pytest.raises(TargetError, match="precision 'bf16'"):
        Work("vocoder", "bf16", 1, 0)
    with pytest.raises(TargetError, match="chunk longer than 0 s"):
        table([Work("vocoder", "fp16", 1, 1)], NANO, chunk_s=0)
