"""The command itself, with edgevoice speaking a tiny voice and a peer that needs none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import chunks, compare, memory
from benchmarks.engines import ENGINES
from benchmarks.process import Process
from edgevoice.text import available

HERE = Path(__file__).parent
RUNS = "2"

needs_phonemizer = pytest.mark.skipif(not available()[0][1], reason="espeak-ng is not installed")


@pytest.fixture(autouse=True)
def _fake_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "LEAST_RUNS", 2)
    monkeypatch.setitem(ENGINES, "fake", "fake_engine")
    monkeypatch.syspath_prepend(HERE)
    monkeypatch.setenv("PYTHONPATH", str(HERE))  # for the measured processes


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    return fake_voice(tmp_path, "steady")


def fake_voice(folder: Path, mood: str) -> Path:
    for name in (f"{mood}.onnx", f"{mood}.onnx.json"):
        (folder / name).write_text("{}")
    return folder / f"{mood}.onnx"


@needs_phonemizer
def test_one_command_one_table(
    tiny_bundle: Path, voice: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = tmp_path / "found.json"
    arguments = ["--voice", voice, "--bundle", tiny_bundle, "--engines", "edgevoice,fake", "--runs", RUNS]
    assert compare.main([*map(str, arguments), "--json", str(found), "--markdown"]) == 0
    out = capfd.readouterr().out
    assert "| median (p95) | edgevoice | fake | fake ÷ ours |" in out
    assert "a library greets" not in out
    record = json.loads(found.read_text())
    once = {"peak memory after all runs, MiB"}
    assert {
        (name, len(values))
        for row, engines in record["samples"].items()
        if row not in once
        for name, values in engines.items()
    } == {("edgevoice", 2), ("fake", 2)}
    assert record["samples"]["audio, short, s"]["fake"] == [0.5, 0.5]
    assert record["engines"]["fake"] == {"about": "1.0", "working_threads": 1}
    assert set(record["rows"]) == set(record["samples"]) - {"slack"}
    assert record["provenance"]["threads"] == 1


def test_two_bundles_of_one_name_have_columns_of_their_own(tmp_path: Path) -> None:
    bundles = [tmp_path / "a" / "bundle", tmp_path / "b" / "bundle"]
    names = [one.name for one in compare.line_up(["edgevoice"], None, bundles, tmp_path)]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("mood", "said"),
    [
        ("unprepared", "pip install fake"),
        ("unloadable", "fake cannot run: this voice is of another kind"),
        ("crashes", "fake cannot run: its process ended (3): fake: cannot allocate"),
        ("mute", "fake cannot run: 4000 samples came, none of them above -50 dBFS"),
        ("greedy", "its thread count does not hold"),
    ],
)
def test_an_engine_that_cannot_run_fails_the_whole_run(
    tmp_path: Path, mood: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--voice", str(fake_voice(tmp_path, mood)), "--engines", "fake", "--runs", RUNS]
    found = tmp_path / "found.json"
    assert compare.main([*arguments, "--json", str(found)]) == 2
    heard = capsys.readouterr()
    assert heard.err.splitlines()[-1].startswith("error: ")
    assert said in heard.err
    assert heard.out == ""
    assert not found.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engines", "fake,nobody"], "there is no engine 'nobody'"),
        (["--engines", "edgevoice"], "name a bundle with --bundle"),
        (["--engines", "edgevoice", "--bundle", "nowhere"], "nowhere does not exist"),
        (["--engines", "fake", "--runs", "1"], "--runs 2 or more"),
        (["--engines", "fake", "--threads", "0"], "--threads 1 or more"),
        (["--engines", "fake", "--voice", "nowhere.onnx"], "nowhere.onnx does not exist"),
        (["--engines", "fake", "--sentences", "nowhere.txt"], "cannot read the sentences"),
    ],
)
def test_what_makes_no_sense_is_refused(
    voice: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare.main(["--voice", str(voice), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_peer_without_a_voice_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["--engines", "fake"]) == 2
    assert "fake needs --voice" in capsys.readouterr().err


@pytest.mark.parametrize(("engine", "module"), [("piper-tts", "piper"), ("sherpa-onnx", "sherpa_onnx")])
def test_a_real_peer_speaks_the_same_voice(
    engine: str, module: str, tiny_voice: Path, tmp_path: Path
) -> None:
    pytest.importorskip(module)
    own = Path(shutil.copy(tiny_voice, tmp_path / "voice.onnx"))
    shutil.copy(f"{tiny_voice}.json", f"{own}.json")
    before = own.read_bytes()
    (peer,) = compare.line_up([engine], own, [], tmp_path)
    with Process(peer, 1) as process:
        assert process.ready["sample_rate"] == 22050
        said = process.say("One sentence. And another one.", 0)
    assert 0 < said["first_sound"] < said["wall"]
    assert said["audio"] > 0.1
    assert own.read_bytes() == before


def test_kokoro_onnx_speaks_a_users_own_export(tmp_path: Path) -> None:
    pytest.importorskip("kokoro_onnx")
    pytest.importorskip("onnx")
    from tiny_kokoro import folder_of_one

    folder = folder_of_one(tmp_path / "mine")
    (peer,) = compare.line_up(["kokoro-onnx"], folder, [], tmp_path)
    with Process(peer, 1) as process:
        assert process.ready["sample_rate"] == 24000
        said = process.say("One sentence. And another one.", 0)
    assert said["audio"] > 0.1


@needs_phonemizer
def test_memory_is_measured_by_length(tiny_bundle: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    assert memory.main([str(tiny_bundle), "--lengths", "10", "200", "--json", str(found)]) == 0
    short, long = json.loads(found.read_text())["rows"]
    assert (short["characters"], long["characters"]) == (10, 200)
    assert long["audio_seconds"] > 5 * short["audio_seconds"]
    assert short["peak_mib"] >= short["loaded_mib"] > 1


@pytest.mark.parametrize("characters", [1, 100, 5000])
def test_a_text_has_the_length_asked_for(characters: int) -> None:
    assert len(memory.text_of(characters)) == characters


def test_a_first_chunk_is_no_longer_than_a_long_one() -> None:
    found = chunks.contestants(Path(), firsts=(8, 32), longs=(16, 64))
    assert [one.name for one in found] == ["8, 16", "8, 64", "32, 64"]


@needs_phonemizer
def test_chunk_lengths_are_compared(tiny_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert chunks.main([str(tiny_bundle), "--first", "8", "--long", "16", "64", "--runs", RUNS]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[-2:]]
    assert rows == [["8,", "16"], ["8,", "64"]]
