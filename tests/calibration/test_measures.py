"""Measures tell sounds apart as they should, on sounds made here."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from calibration import measures
from calibration.measures import classes, spectral, words
from calibration.measures.assets import needed, package_file
from calibration.measures.compare import GROUPS, available, require, versions
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Durations

RATE = 22050


def tone(hertz: float, seconds: float = 1.0, level: float = 0.1, rate: int = RATE) -> np.ndarray:
    time = np.arange(int(seconds * rate)) / rate
    return level * sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, 6))


def noisy(sound: np.ndarray, level: float, seed: int = 0) -> np.ndarray:
    return sound + np.random.default_rng(seed).normal(0, level, sound.size)


def test_distances_are_zero_for_equal_and_grow_with_noise():
    sound = tone(120)
    assert measures.log_mel_l1(sound, sound, RATE) == 0
    assert measures.stft_distance(sound, sound) == 0
    for distance in (lambda a, b: measures.log_mel_l1(a, b, RATE), measures.stft_distance):
        little, much = distance(sound, noisy(sound, 1e-4)), distance(sound, noisy(sound, 1e-2))
        assert 0 < little < much


def test_log_mel_of_a_louder_sound_moves_by_the_gain():
    sound = noisy(tone(120), 0.05)
    assert measures.log_mel_l1(sound, 2 * sound, RATE) == pytest.approx(np.log(2), abs=0.02)


def test_mel_filters_have_unit_area_and_peak_where_the_scale_says():
    filters = spectral.mel_filters(16000, 512, 40)
    bin_width = 16000 / 512
    assert filters.shape == (40, 257)
    assert filters[20:].sum(axis=1) * bin_width == pytest.approx(np.ones(20), rel=0.1)
    assert np.all(np.diff(filters.argmax(axis=1)) >= 0)


def test_waveforms_of_other_lengths_are_refused():
    with pytest.raises(EdgevoiceError, match="same durations"):
        measures.log_mel_l1(tone(120, 1.0), tone(120, 1.2), RATE)
    with pytest.raises(EdgevoiceError, match="one channel"):
        measures.log_mel_l1(np.zeros((2, 100)), np.zeros(100), RATE)
    with pytest.raises(EdgevoiceError, match="without samples"):
        measures.stft_distance([], [])


@pytest.mark.parametrize("wanted", [16000, 24000])
def test_resampling_keeps_a_tone_and_removes_what_does_not_fit(wanted: int):
    kept = measures.resample(tone(200), RATE, wanted)
    ideal = tone(200, rate=wanted)[: kept.size]
    middle = slice(wanted // 4, wanted // 2)
    assert np.abs(kept[middle] - ideal[middle]).max() < 1e-4
    high = np.sin(2 * np.pi * 10000 * np.arange(RATE) / RATE)
    left = np.abs(measures.resample(high, RATE, 16000)[4000:8000]).max()
    assert left < 1e-3


@pytest.mark.parametrize("hertz", [70, 120, 220, 400])
def test_pitch_is_found(hertz: int):
    pitch = measures.fundamental(tone(hertz), RATE)
    assert np.median(pitch) == pytest.approx(hertz, rel=0.003)
    assert np.mean(pitch > 0) > 0.9


def test_noise_and_silence_are_unvoiced():
    hiss = np.random.default_rng(0).normal(0, 0.1, RATE)
    assert np.mean(measures.fundamental(hiss, RATE) > 0) < 0.1
    assert not measures.fundamental(np.zeros(RATE), RATE).any()


def test_pitch_error_in_cents_and_voicing():
    error = measures.pitch_error(tone(120), tone(120 * 2 ** (50 / 1200)), RATE)
    assert error.cents == pytest.approx(50, abs=2)
    assert error.voicing < 0.05
    half = tone(120)
    half[RATE // 2 :] = 0
    assert measures.pitch_error(tone(120), half, RATE).voicing == pytest.approx(0.5, abs=0.05)


def test_signal_checks_name_what_is_wrong():
    assert measures.inspect(tone(120), RATE).problems() == []
    assert "silent" in measures.inspect(np.zeros(RATE), RATE).problems()[0]
    assert "clips" in measures.inspect(np.clip(tone(120, level=3), -1, 1), RATE).problems()[0]
    assert "NaN" in measures.inspect([0.1, np.nan] * 1000, RATE).problems()[0]
    assert "offset" in measures.inspect(tone(120) + 0.1, RATE).problems()[0]
    assert measures.inspect([], RATE).problems() == ["has no samples"]


def test_what_a_reference_has_too_is_a_problem_only_where_it_is_worse():
    clips, more = (measures.inspect(np.clip(tone(120, level=level), -1, 1), RATE) for level in (3, 9))
    assert clips.worse_than(clips) == clips.worse_than(more) == []
    assert more.worse_than(clips)[0].startswith("clips")
    assert clips.worse_than(measures.inspect(tone(120), RATE)) == clips.problems()
    shifted = [measures.inspect(tone(120) + offset, RATE) for offset in (0.03, 0.04, 0.1)]
    assert shifted[1].worse_than(shifted[0]) == []
    assert "offset" in shifted[2].worse_than(shifted[0])[0]


def test_paired_interval_holds_the_difference_and_repeats():
    rng = np.random.default_rng(3)
    first = rng.normal(0, 1, 60)
    second = first + rng.normal(0.3, 0.1, 60)
    found = measures.paired(first, second)
    assert found == measures.paired(first, second)
    assert found.low < 0.3 < found.high
    assert found.high - found.low < 0.1
    assert found.mean == pytest.approx(float(np.mean(second - first)))


def test_pairs_of_other_sizes_are_refused():
    with pytest.raises(EdgevoiceError, match="same sentences"):
        measures.paired([1.0], [1.0, 2.0])
    with pytest.raises(EdgevoiceError, match="empty"):
        measures.mean([])


def test_error_rate_weighs_sentences_by_their_words():
    found = measures.paired_rate([0, 0], [1, 0], [1, 99])
    assert found.mean == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("It costs $16.50!", "it costs sixteen point five zero dollars"),
        ("The 21st of May, 1,234 men", "the twenty first of may one thousand two hundred thirty four men"),
        ("A well-known “rose” — don’t", "a well known rose don't"),
        ("50% & 3.5", "fifty percent and three point five"),
        ("12th 20th 3rd", "twelfth twentieth third"),
        ("'quoted' 0", "quoted zero"),
    ],
)
def test_word_normaliser(text: str, spoken: str):
    assert " ".join(words.normalise(text)) == spoken


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("the birch canoe slid on", 0),
        ("The birch-canoe slid, on.", 0),
        ("the birchcanoe slid on", 0),
        ("the birch can you slid on", 2),
        ("", 5),
        ("oh the birch canoe slid on", 1),
        ("the birch slid on", 1),
    ],
)
def test_word_errors(heard: str, errors: int):
    assert words.word_errors("The birch canoe slid on.", heard) == (errors, 5)


def test_class_distances_find_the_whistle_of_an_s():
    hop, symbols, durations = 256, ["a", "", "s", "", "a"], [20, 5, 20, 5, 20]
    first = noisy(tone(120, 70 * hop / RATE + 0.01), 0.01)[: 70 * hop]
    second = first.copy()
    at = slice(25 * hop, 50 * hop)
    second[at] += 0.05 * np.sin(2 * np.pi * 6000 * np.arange(25 * hop) / RATE)
    found = measures.class_distances(first, second, RATE, hop, symbols, durations)
    assert set(found) == {"vowel", "sibilant"}
    assert found["sibilant"] > 5 * found["vowel"]


def test_classes_of_symbols():
    assert [classes.class_of(s) for s in "sʃaŋlt ,"] == [
        "sibilant", "sibilant", "vowel", "nasal", "approximant", "plosive", "pause", "pause",
    ]  # fmt: skip
    assert classes.class_of("ˈ") is None
    every = "".join(classes.CLASSES.values())
    assert len(every) == len(set(every))


def test_versions_of_what_a_group_needs(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(GROUPS, "a", ("numpy",))
    monkeypatch.setitem(GROUPS, "b", ("no_such",))
    assert versions(["a", "b", "spectral"]) == {"numpy": np.__version__, "no_such": ""}


def test_duration_error():
    found = measures.duration_error([2, 4, 4], [3, 4, 4], Durations("ceil"))
    assert found.mean == pytest.approx(1 / 3)
    assert found.total == pytest.approx(0.1)
    with pytest.raises(EdgevoiceError, match="cannot be compared"):
        measures.duration_error([1], [1, 2], Durations("ceil"))


def test_compare_gives_figures_and_names_broken_sentences():
    sounds = [tone(100 + 10 * k) for k in range(4)]
    worse = [noisy(sound, 1e-3, k) for k, sound in enumerate(sounds)]
    found = measures.compare(sounds, worse, RATE, groups=("spectral", "pitch"))
    assert set(found.figures) == {"log_mel_l1", "stft_distance", "f0_cents", "voicing_error"}
    assert found.figures["log_mel_l1"].count == 4
    assert found.problems == []
    worse[2] = np.zeros_like(worse[2])
    assert "sentence 3 is silent" in measures.compare(sounds, worse, RATE).problems[0]


def test_a_figure_that_cannot_be_taken_is_a_problem():
    """Left out of the mean alone, a sentence whose pitch was lost made the pitch better."""
    hiss = [np.random.default_rng(seed).normal(0, 0.1, RATE) for seed in range(3)]
    found = measures.compare([tone(120), tone(120), hiss[0]], [tone(120), *hiss[1:]], RATE, groups=("pitch",))
    assert found.figures["f0_cents"].count == 1
    assert found.problems == ["sentence 2 has no f0_cents"]  # the third has no pitch to lose


def test_words_are_heard_in_english_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules["calibration.measures.compare"], "installed", lambda _: True)
    assert "words" in available("en-us")
    assert set(available("en-us")) - set(available("de")) == {"words"}
    require(["words", "dnsmos"], "en-gb")
    require(["dnsmos"], "de")
    with pytest.raises(EdgevoiceError, match=r"'words' knows English alone.*'de'"):
        require(["words"], "de")


def test_compare_refuses_unknown_groups_and_missing_texts():
    with pytest.raises(EdgevoiceError, match="unknown measure 'mos'"):
        measures.compare([tone(100)], [tone(100)], RATE, groups=("mos",))
    with pytest.raises(EdgevoiceError, match="text of every sentence"):
        measures.compare([tone(100)], [tone(100)], RATE, groups=("words",))
    with pytest.raises(EdgevoiceError, match="cannot be compared"):
        measures.compare([tone(100)], [], RATE)


def test_a_missing_package_is_named_with_its_install():
    with pytest.raises(EdgevoiceError, match=r"no_such_package.*pip install .*speechmos"):
        package_file("no_such_package", "model.bin", "0" * 64)
    with pytest.raises(EdgevoiceError, match=r"no_such_package.*pip install .*speechmos"):
        needed("no_such_package")


def test_a_model_with_another_hash_is_refused():
    with pytest.raises(EdgevoiceError, match="another file"):
        package_file("calibration", "__init__.py", "0" * 64)
