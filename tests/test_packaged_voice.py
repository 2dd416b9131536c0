"""The voice that every install has: it speaks with nothing named, offline, on what the wheel brings."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from edgevoice import Voice, bundle
from edgevoice.manifest import STAGES
from edgevoice.runtime.find import DEFAULT, find
from edgevoice.runtime.silence import LEAD_SECONDS, LEVEL, TAIL_SECONDS

MOST_BYTES = 12_000_000
SPEAKERS = ["jm_kumo", "jf_alpha", "jf_gongitsune", "jf_nezumi", "jf_tebukuro"]
SENTENCE = "The train to the harbour leaves from platform four."


@pytest.fixture(scope="module")
def voice() -> Voice:
    return Voice.load(threads=1)


def test_it_is_small_and_for_the_cpu() -> None:
    made = bundle.read(find(None)).manifest
    assert sum(file.bytes for file in made.files.values()) <= MOST_BYTES
    for stage in STAGES:
        (only,) = made.stages[stage].variants
        assert only.engine in ("any", "onnxruntime")
        assert made.stages[stage].trained
    assert made.against_teacher is not None


def test_say_needs_no_voice_to_be_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgevoice", "say", "Hello.", "-o", "hello.wav"]
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": 240}
    done = subprocess.run(command, cwd=tmp_path, env=paths, **quiet)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    sound, rate = soundfile.read(tmp_path / "hello.wav")
    assert rate == 24000
    assert 0.3 < len(sound) / rate < 3
    assert 0.05 < np.abs(sound).max() < 1


def test_its_speakers_are_five_and_differ(voice: Voice) -> None:
    assert voice.speakers == SPEAKERS
    sounds = [spoken(voice, speaker=name) for name in SPEAKERS]
    levels = [np.sqrt(np.mean(sound**2)) for sound in sounds]
    assert min(levels) > 0.01
    assert len({len(sound) for sound in sounds}) > 1
    np.testing.assert_array_equal(spoken(voice), sounds[0])


def test_a_mixture_lies_between_its_speakers(voice: Voice) -> None:
    low, high = "jm_kumo", "jf_alpha"
    pitches = [pitch(spoken(voice, speaker=who)) for who in (low, {low: 0.5, high: 0.5}, high)]
    assert pitches[0] < pitches[1] < pitches[2]


def test_it_speaks_by_the_built_in_dictionary(voice: Voice) -> None:
    """What it was trained on, and what every install has."""
    assert voice.bundle.manifest.text.phonemizers[0] == "lexicon"
    assert voice.stand_in == ""


def test_a_folder_of_that_name_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    packaged = find(DEFAULT)
    (tmp_path / DEFAULT).symlink_to(packaged)
    assert find(DEFAULT) == Path(DEFAULT)
    assert find(None) == packaged


def spoken(voice: Voice, **options: object) -> np.ndarray:
    return np.concatenate(list(voice.stream(SENTENCE, **options)))  # type: ignore[arg-type]


def pitch(sound: np.ndarray) -> float:
    """Median of the strongest autocorrelation between 70 and 400 Hz, of the louder half of all windows."""
    windows = np.lib.stride_tricks.sliding_window_view(sound, 1200)[::600] * np.hanning(1200)
    levels = (windows**2).sum(1)
    loud = windows[levels > np.median(levels)]
    power = np.abs(np.fft.rfft(loud, 4096, axis=1)) ** 2
    same = np.fft.irfft(power, axis=1)[:, 60:343]
    return float(np.median(24000 / (60 + same.argmax(1))))


def test_it_begins_at_once_and_pauses_as_asked() -> None:
    """Its teacher puts 0.3 to 0.5 s before a sentence, and 0.5 to 0.7 s after it."""
    voice = Voice.load(threads=1)
    for speaker in voice.speakers:
        sound = np.concatenate(list(voice.stream("Hello there. Hello there.", speaker=speaker, pause=0.3)))
        heard = np.flatnonzero(np.abs(sound) > LEVEL) / voice.sample_rate
        between = float(np.diff(heard).max())
        assert heard[0] < 0.1
        assert 0.3 <= between < 0.3 + LEAD_SECONDS + TAIL_SECONDS + 0.01
        assert len(sound) / voice.sample_rate - heard[-1] < TAIL_SECONDS + 0.01


def test_its_speakers_are_listed_the_default_first() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgevoice", "speakers"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == SPEAKERS
