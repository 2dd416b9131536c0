"""The gate refuses what it should, and says why."""

from __future__ import annotations

import pytest

from calibration.gate import Thresholds, asks, judge, standing
from calibration.measures import Interval
from edgevoice.errors import EdgevoiceError


def figure(mean: float, spread: float = 0.01) -> Interval:
    return Interval(mean, mean - spread, mean + spread, 20)


GOOD = {
    "log_mel_l1": figure(0.1),
    "dnsmos_overall": figure(-0.02),
    "dnsmos_background": figure(-0.02),
    "dnsmos_p808": figure(0.3),
    "speaker_cosine": figure(0.99),
    "wer": figure(0.0),
    "f0_cents": figure(3.0),
    "voicing_error": figure(0.02),
}


def test_a_good_candidate_passes():
    verdict = judge(Thresholds(), GOOD)
    assert verdict.passed
    assert verdict.reasons == verdict.unmeasured == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_mel_l1", 0.31), ("dnsmos_overall", -0.06), ("dnsmos_background", -0.2),
        ("speaker_cosine", 0.96),
        ("f0_cents", 40.0), ("voicing_error", 0.2), ("wer", 0.1), ("log_mel_l1", float("nan")),
    ],
)  # fmt: skip
def test_each_threshold_is_held(name: str, value: float):
    verdict = judge(Thresholds(), {**GOOD, name: figure(value)})
    assert not verdict.passed
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith(name)


def test_one_class_of_sounds_can_fail_it():
    figures = {**GOOD, "log_mel_vowel": figure(0.1), "log_mel_sibilant": figure(0.6)}
    assert judge(Thresholds(), figures).passed
    asked = Thresholds(log_mel_class=0.5)
    verdict = judge(asked, figures)
    assert [reason.split()[0] for reason in verdict.reasons] == ["log_mel_sibilant"]
    assert asks(asked, "log_mel_vowel") == "at most 0.5"
    assert judge(asked, GOOD).unmeasured == ("log_mel_class",)


def test_word_errors_within_noise_pass():
    assert judge(Thresholds(), {**GOOD, "wer": figure(0.01, spread=0.02)}).passed


def test_what_was_not_measured_is_said():
    verdict = judge(Thresholds(), {"log_mel_l1": figure(0.1)})
    assert verdict.passed
    assert "dnsmos_overall" in verdict.unmeasured


def test_thresholds_from_a_recipe():
    found = Thresholds.from_dict({"log_mel_l1": 1, "wer": False})
    assert found.log_mel_l1 == 1.0
    assert found.wer is None
    assert found.speaker_cosine == Thresholds().speaker_cosine


@pytest.mark.parametrize("table", [{"snr": 20}, {"wer": "low"}, {"wer": True}, {"wer": None}])
def test_bad_thresholds_are_refused_by_name(table: dict[str, object]):
    with pytest.raises(EdgevoiceError, match=next(iter(table))):
        Thresholds.from_dict(table)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("log_mel_l1", "at most 0.3"),
        ("speaker_cosine", "at least 0.97"),
        ("dnsmos_overall", "at most 0.05 lost"),
        ("stft_distance", ""),
        ("wer_reference", ""),
    ],
)
def test_what_is_asked_of_a_figure(name: str, asked: str) -> None:
    assert asks(Thresholds(), name) == asked


@pytest.mark.parametrize(
    ("name", "mean", "spread", "found"),
    [
        ("log_mel_l1", 0.28, 0.01, "met"),
        ("log_mel_l1", 0.29, 0.02, "open"),
        ("log_mel_l1", 0.33, 0.02, "missed"),
        ("speaker_cosine", 0.99, 0.01, "met"),
        ("speaker_cosine", 0.98, 0.02, "open"),
        ("speaker_cosine", 0.94, 0.02, "missed"),
        ("dnsmos_overall", 0.2, 0.1, "met"),
        ("dnsmos_overall", -0.04, 0.02, "open"),
        ("dnsmos_overall", -0.09, 0.02, "missed"),
        ("wer", 0.01, 0.02, "open"),
        ("wer", float("nan"), 0.02, "missed"),
        ("wer_reference", 0.5, 0.1, ""),
    ],
)
def test_an_interval_around_the_limit_decides_nothing(
    name: str, mean: float, spread: float, found: str
) -> None:
    assert standing(Thresholds(), name, figure(mean, spread)) == found


@pytest.mark.parametrize(("mean", "found"), [(0.1, "open"), (0.5, "open"), (float("nan"), "missed")])
def test_one_sentence_has_no_interval_and_decides_nothing(mean: float, found: str) -> None:
    assert standing(Thresholds(), "log_mel_l1", Interval(mean, mean, mean, 1)) == found
    assert standing(Thresholds(log_mel_l1=None), "log_mel_l1", Interval(mean, mean, mean, 1)) == ""
