"""The table of word errors: what is counted, kept and refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from benchmarks import words
from benchmarks.words import Kept, Talker, figures
from calibration.measures.compare import available
from compress import teachers
from edgevoice.errors import EdgevoiceError

TEXTS = ["one two three four", "five six seven eight"]
needs_recogniser = pytest.mark.skipif("words" not in available(), reason="the extra quality is not installed")


@pytest.fixture
def dictated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A recogniser that hears the text which a talker's first sample numbers."""
    heard = ["one two three four", "five six seven", "one two", "five six seven eight"]
    monkeypatch.setattr("calibration.measures.words.transcribe", lambda sound, rate: heard[int(sound[0])])
    return heard


def talker(name: str, first: int, said: list[str]) -> Talker:
    def says(number: int, text: str) -> words.Float:
        said.append(text)
        return np.array([first + number], np.float32)

    return Talker(name, f"id of {name}", 16000, says)


def test_rates_are_of_all_words_and_paired(dictated: list[str]) -> None:
    found = figures([talker("teacher", 0, []), talker("ours", 2, [])], TEXTS, Kept(None))
    assert found["teacher"]["rate"].mean == pytest.approx(1 / 8)
    assert found["ours"]["rate"].mean == pytest.approx(2 / 8)
    assert found["ours"]["above the teacher"].mean == pytest.approx(1 / 8)
    assert found["ours"]["above the teacher"].count == 2
    assert "12.50 " in words.table(found)[2][2]


def test_each_is_held_against_all_before_it(dictated: list[str]) -> None:
    talkers = [talker(name, first, []) for name, first in (("plain", 0), ("small", 2), ("same", 0))]
    found = figures(talkers, TEXTS, Kept(None))
    assert set(found["plain"]) == {"rate"}
    assert found["small"]["above plain"].mean == pytest.approx(1 / 8)
    assert found["same"]["above plain"].mean == 0
    assert found["same"]["above small"].mean == pytest.approx(-1 / 8)
    header, *rows = words.table(found)
    assert [len(row) for row in rows] == [len(header)] * 3


def test_what_was_kept_is_not_said_again(dictated: list[str], tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    said: list[str] = []
    first = figures([talker("teacher", 0, said), talker("ours", 2, said)], TEXTS, Kept(file))
    assert len(said) == 4
    again = figures([talker("teacher", 0, said), talker("ours", 2, said)], TEXTS, Kept(file))
    assert len(said) == 4
    assert first == again
    figures([talker("teacher", 0, said), talker("another", 2, said)], TEXTS, Kept(file))
    assert len(said) == 6


@pytest.mark.parametrize("line", ["{", '{"talker": "x"}', "[]"])
def test_a_file_of_something_else_is_refused(line: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    file.write_text(line + "\n")
    with pytest.raises(EdgevoiceError, match="line 1 is no sentence that was kept"):
        Kept(file)


@pytest.mark.parametrize("what", ["a folder", "bytes"])
def test_what_is_no_text_is_refused(what: str, tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    if what == "bytes":
        file.write_bytes(b"\xff\xfe\x00")
    else:
        file.mkdir()
    with pytest.raises(EdgevoiceError, match="no file of sentences that were kept"):
        Kept(file)


def test_a_bundle_of_another_voice_is_refused(tiny_multispeaker_voice: Path, tiny_bundle: Path) -> None:
    with pytest.raises(EdgevoiceError, match="made of another voice"):
        words.shipped(tiny_bundle, 1, teachers.read(tiny_multispeaker_voice))


@needs_recogniser
def test_an_earlier_result_outlives_a_mistake(tiny_voice: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    out.write_text("before")
    command = [str(tiny_voice), str(tiny_bundle), "--count", "0", "--json", str(out)]
    assert words.main(command) == 2
    assert out.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@needs_recogniser
def test_a_voice_that_says_no_word_has_no_word_right(
    tiny_voice: Path, tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "found.json"
    command = [str(tiny_voice), str(tiny_bundle), "--count", "2", "--kept", str(tmp_path / "kept.jsonl")]
    assert words.main([*command, "--json", str(out)]) == 0
    rates = json.loads(out.read_text())["figures"]
    assert set(rates) == {"teacher", str(tiny_bundle)}
    assert all(own["rate"]["mean"] > 0.5 for own in rates.values())
    assert "above the teacher" in capsys.readouterr().out
    alone = [str(tiny_voice), *command[2:], "--json", str(out)]
    assert words.main(alone) == 0
    assert json.loads(out.read_text())["figures"] == {"teacher": rates["teacher"]}
    assert words.main([*command, "--without-teacher", "--json", str(out)]) == 0
    own = rates[str(tiny_bundle)]["rate"]
    assert json.loads(out.read_text())["figures"] == {str(tiny_bundle): {"rate": own}}
    assert words.main([*alone, "--without-teacher"]) == 2


@needs_recogniser
@pytest.mark.parametrize(
    ("change", "told"),
    [(["--count", "0"], "from 1 to"), (["--count", "100000"], "from 1 to"), ([], "does not exist")],
)
def test_what_cannot_be_is_one_line(
    tiny_voice: Path, tiny_bundle: Path, change: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher = str(tiny_voice) if change else "no-such.onnx"
    assert words.main([teacher, str(tiny_bundle), *change]) == 2
    assert told in capsys.readouterr().err.strip().splitlines()[-1]
