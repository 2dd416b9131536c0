"""Sentences are chosen for coverage; unfit data is refused."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import numpy as np
import pytest

from calibration import data
from edgevoice.errors import EdgevoiceError

ENGLISH = "ptkbdɡmnfvszʃhlɹwiɪɛæɑɔʊuʌə"


def speech(count: int, seed: int, sounds: str = ENGLISH) -> list[str]:
    """Sentences whose neighbouring sounds follow rules: consonant and vowel in turn."""
    chance = random.Random(seed)
    consonants, vowels = (
        [s for s in sounds if s in "ptkbdɡmnfvszʃhlɹwçʁxɲ"],
        [s for s in sounds if s in "iɪɛæɑɔʊuʌəyøœ"],
    )
    made = []
    for _ in range(count):
        words = [
            "".join(chance.choice(consonants) + chance.choice(vowels) for _ in range(chance.randint(1, 3)))
            for _ in range(chance.randint(2, 9))
        ]
        made.append(" ".join(words) + chance.choice(".?!"))
    return made


def test_selection_covers_more_than_the_first_and_repeats():
    source = speech(300, 0)
    chosen = data.select(source, 12)
    assert chosen == data.select(source, 12)
    assert len(set(chosen)) == 12
    picked = [source[index] for index in chosen]
    mine, first = data.record(picked, picked, source), data.record(source[:12], source[:12], source)
    assert mine.coverage["symbols"] == mine.coverage["marks"] == 1.0
    assert mine.coverage["diphones"] > first.coverage["diphones"]


def test_selection_equals_plain_greedy():
    source = speech(40, 1)
    bags = [data._features(sentence) for sentence in source]
    plain: list[int] = []
    seen: data.Counter[str] = data.Counter()
    for _ in range(6):
        rest = [index for index in range(40) if index not in plain]
        best = min(rest, key=lambda index: (-data._gain(bags[index], seen), index))
        plain.append(best)
        seen.update(bags[best])
    assert data.select(source, 6) == plain


def test_selection_takes_all_of_a_small_source_and_skips_what_says_nothing():
    assert sorted(data.select(["ka.", "...", "", "mi!"], 10)) == [0, 3]


def test_fit_sentences_give_the_manifest_record():
    source = speech(300, 0)
    picked = [source[index] for index in data.select(source, 12)]
    found = data.require_fit(picked, picked, source)
    assert found.sentences == 12
    assert found.sha256 == hashlib.sha256("".join(f"{text}\n" for text in picked).encode()).hexdigest()
    assert found == data.record(picked, picked, source)
    assert found.sha256 != data.record(picked[::-1], picked[::-1], source).sha256


@pytest.mark.parametrize(
    ("phonemes", "skipped", "reason"),
    [
        (lambda: speech(1, 0), 0, "at least 8 different"),
        (lambda: speech(1, 0) * 20, 0, "at least 8 different"),
        (lambda: [f"...{'.' * k}" for k in range(20)], 0, "nothing to say"),
        (lambda: speech(20, 0), 200, "another language"),
        (lambda: speech(20, 5, "çʁxɲyøœk"), 0, "another language"),
        (lambda: [sentence[::-1] for sentence in speech(20, 5)], 0, "another language"),
        (lambda: speech(20, 0, "ptkiɪɛ"), 0, "of the language's sounds"),
    ],
)  # fmt: skip
def test_unfit_text_is_refused(phonemes: Callable[[], list[str]], skipped: int, reason: str):
    made = phonemes()
    with pytest.raises(EdgevoiceError, match=reason):
        data.require_fit(made, made, speech(300, 0), skipped)


def sample(frames: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.normal(size=(1, 4, frames)).astype(np.float32),
        "noise": rng.normal(size=(1, 2, frames)).astype(np.float32),
        "speaker": np.ones((1, 3), np.float32),
    }


def test_windows_have_one_length_and_stay_aligned():
    samples = [sample(60 + k, k) for k in range(10)]
    cut = data.windows(samples, 20, each=3)
    assert len(cut) == 30
    assert {window["frames"].shape for window in cut} == {(1, 4, 20)}
    assert {window["speaker"].shape for window in cut} == {(1, 3)}
    first = samples[0]
    starts = [k for k in range(41) if np.array_equal(first["frames"][..., k : k + 20], cut[0]["frames"])]
    assert np.array_equal(first["noise"][..., starts[0] : starts[0] + 20], cut[0]["noise"])
    again = data.windows(samples, 20, each=3)
    assert all(np.array_equal(a["frames"], b["frames"]) for a, b in zip(cut, again, strict=True))


def test_windows_refuse_short_few_constant_and_misaligned_samples():
    with pytest.raises(EdgevoiceError, match="it got 3"):
        data.windows([sample(60, k) for k in range(3)], 20)
    with pytest.raises(EdgevoiceError, match="it got 0"):
        data.windows([sample(10, k) for k in range(12)], 20)
    dead = [{**sample(60, k), "frames": np.zeros((1, 4, 60), np.float32)} for k in range(12)]
    with pytest.raises(EdgevoiceError, match="frames never changes"):
        data.windows(dead, 20)
    with pytest.raises(EdgevoiceError, match="differ in length"):
        data.windows([{**sample(60, 0), "noise": np.zeros((1, 2, 61), np.float32)}], 20)
    with pytest.raises(EdgevoiceError, match="at least 8"):
        data.whole([sample(10, 0)])


def test_silent_sounds_are_refused():
    hum = np.sin(np.arange(16000) / 20) * 0.1
    data.require_sound([hum] * 4, 16000)
    with pytest.raises(EdgevoiceError, match=r"2 of 4 .* silent"):
        data.require_sound([hum, np.zeros(16000), hum, np.zeros(16000)], 16000)


def test_one_sound_that_is_no_numbers_is_refused():
    hum = np.sin(np.arange(16000) / 20) * 0.1
    broken = hum.copy()
    broken[99] = np.nan
    with pytest.raises(EdgevoiceError, match="sentence 8 contains NaN"):
        data.require_sound([*[hum] * 7, broken], 16000)
