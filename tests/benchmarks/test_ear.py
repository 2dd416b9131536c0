from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import ear
from benchmarks.ear import Ear

RATE = 1000  # so a sample is a millisecond
SILENT, SOUND = 0.003, 0.0033  # either side of -50 dBFS


class Clock:
    """Wall and CPU time that tests move on; CPU time runs at half the speed."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now / 2


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    fake = SimpleNamespace(perf_counter=clock.perf_counter, process_time=clock.process_time)
    monkeypatch.setattr(ear, "time", fake)
    return clock


def listen(clock: Clock, *chunks: tuple[float, list[float]]) -> dict[str, float]:
    """Chunks arrive one after the other, each so many seconds after the one before."""
    heard = Ear(RATE)
    for seconds, samples in chunks:
        clock.now += seconds
        heard.hear(np.array(samples, np.float32))
    return heard.end()


def test_a_whole_sentence_is_heard_when_it_arrives(clock: Clock) -> None:
    said = listen(clock, (2.0, [SILENT] * 30 + [SOUND] * 500))
    assert said["first_sound"] == pytest.approx(2.0)
    assert said["first_sound_cpu"] == pytest.approx(1.0)
    assert said["audio"] == pytest.approx(0.53)
    assert said["slack"] == 0


def test_a_tiny_chunk_sent_ahead_does_not_count(clock: Clock) -> None:
    said = listen(clock, (0.1, [SOUND] * 49), (0.2, [SOUND] * 1), (0.4, [SOUND] * 100))
    assert said["first_sound"] == pytest.approx(0.3)
    assert said["wall"] == pytest.approx(0.7)


def test_leading_silence_does_not_count_and_later_silence_does(clock: Clock) -> None:
    silent_first = listen(
        clock, (0.1, [SILENT] * 200), (0.2, [SILENT] * 60 + [SOUND] * 40), (0.4, [0.0] * 10)
    )
    assert silent_first["first_sound"] == pytest.approx(0.7)


def test_a_sound_shorter_than_that_is_heard_at_its_end(clock: Clock) -> None:
    said = listen(clock, (0.1, [SOUND] * 20), (0.3, [SOUND] * 20))
    assert said["first_sound"] == said["wall"] == pytest.approx(0.4)


@pytest.mark.parametrize("chunks", [[], [(0.1, [SILENT] * 400)]])
def test_silence_is_no_speech(clock: Clock, chunks: list[tuple[float, list[float]]]) -> None:
    with pytest.raises(ValueError, match="samples came"):
        listen(clock, *chunks)


def test_slack_is_the_tightest_place(clock: Clock) -> None:
    # 100 ms sound while 20 ms of CPU go by, then 300 ms in all while 20 + 80 go by.
    said = listen(clock, (1.0, [SOUND] * 100), (0.04, [SOUND] * 200), (0.16, [SOUND] * 200))
    assert said["slack"] == pytest.approx(3.0)
