"""What the self-test hears, and what becomes of a process that misbehaves."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from deploy.deploy_bundles import make
from deploy.speaker import RATE, tone

from edgevoice.deploy import isolate
from edgevoice.deploy.selftest import Limits, Report, Sound, collect, faults, limits_for
from edgevoice.text.sample import sentence

HERE = Path(__file__).parent
TEXT = sentence("en-us")


def speak(folder: Path, mood: str, budget: int | None = None, timeout: float = 60) -> Report:
    command = (sys.executable, str(HERE / "speaker.py"), mood)
    return isolate.run(folder, budget, timeout=timeout, command=command)


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("bundles"), "one", size=1000)


def with_nan(sound: Sound) -> Sound:
    sound[100] = np.nan
    return sound


@pytest.mark.parametrize(
    ("sound", "complaint"),
    [
        (tone(3), ""),
        (np.zeros(0, np.float32), "no sound"),
        (np.zeros(3 * RATE, np.float32), "silent"),
        (np.full(3 * RATE, 0.5, np.float32), "silent"),
        (tone(3, 0.001), "silent"),
        (np.concatenate([tone(0.2), np.zeros(3 * RATE, np.float32)]), "silent"),
        (with_nan(tone(3)), "no numbers"),
        (np.clip(tone(3, 8), -1, 1), "clipped"),
        (tone(0.4), "0.40 s long"),
        (tone(30), "more than 15.0 s long"),
    ],
)
def test_faults_of_a_sound(sound: Sound, complaint: str) -> None:
    found = faults(sound, RATE, TEXT, Limits())
    assert complaint in "; ".join(found)
    assert bool(found) == bool(complaint)


def test_all_faults_are_named_at_once() -> None:
    assert len(faults(np.zeros(100, np.float32), RATE, TEXT, Limits())) == 2


def test_listening_ends_with_a_voice_that_does_not() -> None:
    def forever() -> object:
        while True:
            yield tone(1)

    assert len(collect(forever(), RATE * 5)) == 6 * RATE  # type: ignore[arg-type]


def test_a_language_has_its_sentence_and_a_dense_script_its_length() -> None:
    assert sentence("de-DE") != sentence("en_US") == sentence("xx")
    assert limits_for("zh-cn").shortest > limits_for("en-us").shortest


def test_a_good_voice_passes_in_its_own_process(voice: Path) -> None:
    report = speak(voice, "good")
    assert report.problems == []
    assert report.sound_seconds == pytest.approx(2)
    assert report.peak_bytes > 10_000_000
    assert -15 < report.rms_dbfs < -10


def test_what_a_library_prints_does_not_hide_the_report(voice: Path) -> None:
    assert speak(voice, "chatty").problems == []


@pytest.mark.parametrize(
    ("mood", "complaint"),
    [
        ("crashes", "SIGSEGV"),
        ("raises", "ZeroDivisionError: no frames"),
        ("endless", "more than 15.0 s long"),
        ("unloadable", "the engine refused the file"),
    ],
)
def test_a_bad_voice_is_a_line_in_the_report(voice: Path, mood: str, complaint: str) -> None:
    assert complaint in "; ".join(speak(voice, mood).problems)


def test_a_voice_that_hangs_is_ended(voice: Path) -> None:
    assert "did not finish" in speak(voice, "hangs", timeout=1.0).problems[0]


def test_a_voice_over_its_budget_is_refused_with_the_numbers(voice: Path) -> None:
    (problem,) = speak(voice, "greedy", budget=250_000_000).problems
    assert "the budget is 250.0 MB" in problem


def test_the_budget_counts_what_came_before_the_first_look(voice: Path) -> None:
    assert speak(voice, "good", budget=1_000_000).problems


def test_a_release_that_speaks_by_another_engine_than_is_required_fails(tiny_bundle: Path) -> None:
    assert "TensorRT is required" in "; ".join(isolate.run(tiny_bundle, engine="tensorrt").problems)
    assert not isolate.run(tiny_bundle).problems


def test_the_self_test_dies_with_its_deploy(voice: Path) -> None:
    code = "import sys; from pathlib import Path; from edgevoice.deploy import isolate; " + (
        "isolate.run(Path(sys.argv[1]), command=(sys.executable, sys.argv[2], 'waits'))"
    )
    noted = voice / "self-test.pid"
    command = [sys.executable, "-c", code, str(voice), str(HERE / "speaker.py")]
    parent = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: noted.exists() and noted.read_text() != "")
        child = int(noted.read_text())
        assert runs(child)
    finally:
        parent.kill()
        parent.wait(timeout=60)
    wait_for(lambda: not runs(child))


def runs(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
