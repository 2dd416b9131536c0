"""The command line as its user meets it: what it says, what it leaves, and how it ends."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import IO, Any

import msgspec
import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from edgevoice import Voice, audio, bench, bundle, cli
from edgevoice.bench import Report, Spread
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Manifest, Variant
from edgevoice.options import LONGEST_PAUSE, PAUSE_SECONDS, SPEEDS
from edgevoice.runtime.engines import cuda
from edgevoice.speakers import parse

ROOT = Path(__file__).parents[1]

# Who runs the tests in the background or under nohup has some signals ignored, and that is inherited.
START = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from edgevoice.cli import main
main()
"""
PROGRAM = [sys.executable, "-c", START]
LIMIT = 240
"""Seconds that a command may take under any load."""


@pytest.fixture(scope="module")
def single(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lexicon(tiny_bundle, tmp_path_factory.mktemp("single") / "bundle")


@pytest.fixture(scope="module")
def trio(tiny_multispeaker_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lexicon(tiny_multispeaker_bundle, tmp_path_factory.mktemp("trio") / "bundle")


def lexicon(source: Path, target: Path) -> Path:
    """The bundle with the phonemizer that every install has."""
    made = bundle.read(source)
    text = msgspec.structs.replace(made.manifest.text, phonemizers=["lexicon"])
    manifest: Manifest = msgspec.structs.replace(made.manifest, text=text)
    return bundle.write(target, manifest, {name: made.file(name) for name in manifest.files}).path


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: bytes
    stderr: str

    @property
    def json(self) -> Any:
        assert self.status == 0, self.stderr
        return json.loads(self.stdout)


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def server() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.cli_server"]
    alone = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a process with threads must not fork
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, env=alone, cwd=ROOT, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # a command that hangs too


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The folder that the command line runs in."""
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.fixture
def run(server: subprocess.Popen[str], place: Path) -> Run:
    streams = place.with_name("streams")

    def ended(*arguments: object, stdin: bytes = b"", file_limit: int = 0) -> Ended:
        shutil.rmtree(streams, ignore_errors=True)
        streams.mkdir()
        (streams / "stdin").write_bytes(stdin)
        request = {"arguments": [*map(str, arguments)], "folder": str(place), "file_limit": file_limit}
        assert server.stdin is not None
        assert server.stdout is not None
        print(json.dumps(request), file=server.stdin, flush=True)
        assert select.select([server.stdout], [], [], LIMIT)[0], f"no end within {LIMIT} s: {arguments}"
        status = int(server.stdout.readline())
        return Ended(status, (streams / "stdout").read_bytes(), (streams / "stderr").read_text("utf-8"))

    return ended


def samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2")


loaded = cache(partial(Voice.load, threads=1))


def expected(folder: Path, words: str, **options: Any) -> bytes:
    return audio.pcm16(np.concatenate(list(loaded(folder).stream(words, **options))))


# What works.


def test_say_writes_a_file_that_equals_the_voice(run: Run, single: Path, place: Path) -> None:
    done = run(
        "say", "Good morning.", "-o", "a.wav", "-v", single, "--threads", 1, "--seed", 3, "--speed", 1.5
    )
    assert done.status == 0, done.stderr
    data, rate = soundfile.read(place / "a.wav", dtype="int16")
    told = f"note: a.wav holds {len(data) / rate:.1f} s of sound\n"
    assert (done.stdout, done.stderr) == (b"", told)
    wanted = samples(expected(single, "Good morning.", seed=3, speed=1.5))
    assert rate == 22050
    assert len(data) == len(wanted)
    assert np.abs(data.astype(int) - wanted).max() <= 4


def test_say_speaks_with_a_named_speaker_and_a_mixture(run: Run, trio: Path) -> None:
    say = ("say", "Hello.", "-o", "-", "-v", trio, "--threads", 1, "--speaker")
    named, mixed = run(*say, "speaker_1").stdout, run(*say, "speaker_0=1,speaker_1=1").stdout
    for heard, speaker in ((named, 1), (mixed, {"speaker_0": 0.5, "speaker_1": 0.5})):
        wanted = samples(expected(trio, "Hello.", speaker=speaker))
        assert len(heard) == 2 * len(wanted)
        assert np.abs(samples(heard).astype(int) - wanted).max() <= 4


def test_say_skips_what_cannot_be_said_with_a_note(run: Run, single: Path) -> None:
    done = run("say", "Good 🎉 mor\x07ning.", "-o", "-", "-v", single)
    assert done.status == 0
    assert len(done.stdout) > 1000
    assert done.stderr == "note: skipped 1 control character and 1 emoji: they cannot be spoken\n"


def test_quiet_says_nothing_but_errors(run: Run, single: Path, place: Path) -> None:
    done = run("say", "Good 🎉 morning.", "-o", "a.wav", "-v", single, "--quiet")
    assert (done.status, done.stdout, done.stderr) == (0, b"", "")
    assert soundfile.info(place / "a.wav").frames > 1000
    assert_refused(run("say", "😀", "-o", "b.wav", "-v", single, "-q"), "nothing to say")


def test_a_foreign_script_is_spelled_with_a_note(run: Run, single: Path) -> None:
    done = run("say", "Hello, привет.", "-o", "-", "-v", single)
    assert done.status == 0
    (note,) = done.stderr.splitlines()
    assert note.startswith("note: Cyrillic letters are foreign to a voice that speaks en-us")


def test_the_speaker_of_a_voice_with_one_is_number_0(run: Run, single: Path) -> None:
    say = ("say", "Hello.", "-o", "-", "-v", single, "--threads", 1)
    assert run(*say, "--speaker", 0).stdout == run(*say).stdout != b""


def test_say_takes_bytes_that_are_no_text(run: Run, single: Path) -> None:
    done = run("say", "-", "-o", "-", "-v", single, stdin=b"Good \xff\xfe morning.\n")
    (note,) = done.stderr.splitlines()
    assert "not UTF-8" in note
    assert "iconv" in note
    assert done.status == 0
    done = run("say", "Good \udcff morning.", "-o", "-", "-v", single)
    assert (done.status, done.stderr) == (0, f"{note}\n")


def test_a_note_on_each_line_is_given_once(run: Run, single: Path) -> None:
    lines = "Hello, привет.\n<p>Good \udcff morning.</p>\nпривет.\n<s>Good \udcff day.</s>\n"
    done = run("say", "-", "-o", "-", "-v", single, stdin=lines.encode("utf-8", "surrogateescape"))
    assert done.status == 0
    assert [note.split()[1] for note in done.stderr.splitlines()] == ["Cyrillic", "skipped", "skipped"]


def test_a_text_that_is_a_file_gets_a_hint(run: Run, single: Path, place: Path) -> None:
    (place / "read.me").write_text("Hello.")
    done = run("say", "read.me", "-o", "-", "-v", single)
    assert done.status == 0
    assert done.stderr == "note: read.me is a file: `edgevoice say - < read.me` speaks what is in it\n"


def test_lines_of_standard_input_are_spoken_with_a_pause_between_them(run: Run, single: Path) -> None:
    lines = b"Good morning.\n\n***\nHow are you?"
    done = run("say", "-", "-o", "-", "-v", single, "--threads", 1, "--pause", 0.1, stdin=lines)
    assert (done.status, done.stderr) == (0, "note: skipped a line without letters or numbers\n")
    silence = bytes(2 * 2205)
    wanted = expected(single, "Good morning.") + silence + expected(single, "How are you?")
    assert len(done.stdout) == len(wanted)
    assert np.abs(samples(done.stdout).astype(int) - samples(wanted)).max() <= 4


def test_a_voice_for_a_gpu_says_once_what_runs(run: Run, single: Path, place: Path) -> None:
    if not cuda.probe():
        pytest.skip("there is a GPU here, which may run it")
    made = bundle.read(single)
    stages = dict(made.manifest.stages)
    half = Variant(file="vocoder.fp16.onnx", precision="fp16", engine="tensorrt")
    stages["vocoder"] = msgspec.structs.replace(
        stages["vocoder"], variants=[*stages["vocoder"].variants, half]
    )
    sources = {name: made.file(name) for name in made.manifest.files}
    sources[half.file] = made.file(stages["vocoder"].chosen)
    bundle.write(place / "gpu", msgspec.structs.replace(made.manifest, stages=stages), sources)
    runs = "encoder FP32, acoustic FP32, vocoder FP32 by ONNX Runtime on the CPU"
    for done in (
        run("say", "-", "-o", "a.wav", "-v", "gpu", stdin=b"Hello.\nGood day.\n"),
        run("deploy", "gpu", "device"),
    ):
        assert done.status == 0
        assert done.stderr.count(runs) == 1
        assert done.stderr.count("this voice was made for TensorRT on") == 1
    assert "TensorRT" not in run("deploy", single, "device").stderr
    assert run("rollback", "device").status == 0
    left, *_ = run("status", "device", "--json").json["left"]
    assert left == bundle.read(single).id[:16]
    assert (
        f"also there {left} (`edgevoice rollback device --to NAME`)"
        in run("status", "device").stdout.decode()
    )


def test_a_deployed_folder_speaks(run: Run, single: Path, place: Path) -> None:
    installed = run("deploy", single, "device", "--json").json
    name = installed["release"]["name"]
    assert installed["copied_bytes"] > 100_000
    assert (
        "it was installed already: checked and heard, nothing copied"
        in run("deploy", single, "device").stdout.decode()
    )
    assert run("say", "Hello.", "-o", "a.wav", "-v", "device").status == 0
    (row,) = run("releases", "device", "--json").json
    assert (row["name"], row["current"]) == (name, True)
    assert run("status", "device", "--json").json["current"]["name"] == name
    assert f"{name}  speaks" in run("releases", "device").stdout.decode()
    assert name in run("status", "device").stdout.decode()
    assert {path.name for path in place.iterdir()} == {"device", "a.wav"}


def test_targets_plan_and_doctor_print_tables_and_json(run: Run, single: Path) -> None:
    rows = run("targets", "--json").json
    assert "cpu" in {row["id"] for row in rows}
    listed = run("targets").stdout.decode()
    assert all(row["id"] in listed for row in rows)
    made = run("plan", single, "--json").json
    assert made["fits"]
    assert {stage["name"] for stage in made["stages"]} == {"encoder", "acoustic", "vocoder"}
    weights = next(row["bytes"] for row in made["rows"] if row["name"] == "weights")
    assert weights == sum(path.stat().st_size for path in single.glob("*.onnx"))
    assert "encoder" in run("plan", single).stdout.decode()
    found = json.loads(run("doctor", "--json").stdout)
    assert {check["name"] for check in found["checks"]} >= {"Python", "ONNX Runtime", "loudspeaker", "INT8"}
    assert found["host"]["cpus"] >= 1


def test_a_bundle_that_does_not_fit_says_so_with_numbers(run: Run, tiny_bundle: Path, tmp_path: Path) -> None:
    def huge(plain: dict[str, Any]) -> None:
        plain["stages"]["vocoder"]["arena_bytes"] = 1 << 50

    large = tmp_path / "large"
    shutil.copytree(tiny_bundle, large)
    edit(large, huge)
    done = run("plan", large, "--json")
    assert done.status == 1
    assert json.loads(done.stdout)["fits"] is False
    assert "MiB" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    plain = json.loads((folder / "manifest.json").read_bytes())
    change(plain)
    (folder / "manifest.json").write_text(json.dumps(plain), "utf-8")


def test_bare_and_version_and_help(run: Run) -> None:
    bare, helped = run(), run("--help")
    assert (bare.status, bare.stderr) == (0, "")
    assert b"say" in bare.stdout
    assert bare.stdout.split() == helped.stdout.split()
    assert run("--version").stdout.decode().count(".") == 2


def test_bench_prints_its_report(monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path) -> None:
    spread = Spread.of([1.0, 2.0, 3.0])
    warm = {"long": {"first_sound": spread, "rtf": spread, "audio": spread}}
    cold = {"load": spread, "first_sound": spread}
    report = Report("here", 1, cold, warm, {"encoder": 1.0}, spread, "a host")
    asked: list[Any] = []

    def run(*arguments: Any) -> Report:
        asked.append(arguments)
        return report

    monkeypatch.setattr(bench, "run", run)
    done = CliRunner().invoke(
        cli.app, ["bench", str(tiny_bundle), "--threads", "2", "--runs", "12", "--json"]
    )
    assert json.loads(done.stdout) == report.to_dict()
    assert asked == [(tiny_bundle, 2, 12, 12, "")]
    told = CliRunner().invoke(cli.app, ["bench", str(tiny_bundle), "--quick"]).stdout
    assert asked[1] == (tiny_bundle, 1, 3, 3, "")
    assert "real-time factor" in told
    assert "FEW RUNS" in told


def test_the_help_of_say_tells_ranges_and_the_raw_format(run: Run) -> None:
    told = " ".join(run("say", "--help").stdout.decode().translate({ord("│"): " "}).split())
    for part in ("0.1 to 10", "0 to 60", "16-bit little-endian", "sample_rate"):
        assert part in told
    assert "{} to {:.0f}".format(*SPEEDS) == "0.1 to 10"
    assert f"0 to {LONGEST_PAUSE:.0f}" == "0 to 60"


# What is refused. {single}, {trio}, {cut} and {newer} stand for bundles; the other names lie in the folder.

SAY = ("say", "Hello.", "-o", "a.wav")

REFUSED: list[tuple[tuple[str, ...], str]] = [
    (("say", "", "-o", "a.wav", "-v", "{single}"), "nothing to say"),
    (("say", "😀", "-o", "a.wav", "-v", "{single}"), "nothing to say"),
    (("say", "-", "-o", "a.wav", "-v", "{single}"), "nothing to say on standard input"),
    ((*SAY, "-v", "{single}", "--speed", "0"), "speed 0.0"),
    ((*SAY, "-v", "{single}", "--speed", "-1"), "speed -1.0"),
    ((*SAY, "-v", "{single}", "--speed", "fast"), "--speed"),
    ((*SAY, "-v", "{single}", "--speed", "nan"), "speed nan"),
    ((*SAY, "-v", "{single}", "--pause", "-1"), "pause -1.0"),
    ((*SAY, "-v", "{single}", "--pause", "long"), "--pause"),
    ((*SAY, "-v", "{single}", "--seed", "-1"), "--seed"),
    ((*SAY, "-v", "{single}", "--seed", "x"), "--seed"),
    ((*SAY, "-v", "{single}", "--threads", "0"), "--threads 0"),
    ((*SAY, "-v", "{single}", "--threads", "many"), "--threads"),
    ((*SAY, "-v", "{single}", "--speaker", "anna"), "this voice has one speaker"),
    ((*SAY, "-v", "{trio}", "--speaker", "anna"), "speaker_0, speaker_1, speaker_2"),
    ((*SAY, "-v", "{trio}", "--speaker", "speaker_0=x"), "NAME=WEIGHT"),
    ((*SAY, "-v", "{single}", "--device", "hw:0"), "--device is for the loudspeaker"),
    ((*SAY, "-v", "{single}", "--loud"), "--loud"),
    ((*SAY, "again", "-v", "{single}"), "again"),
    ((*SAY, "-v", "nowhere"), "nowhere does not exist"),
    ((*SAY, "-v", "{full}"), "neither a bundle nor a deployed folder"),
    ((*SAY, "-v", "{cut}"), "vocoder.fp32.onnx was changed or cut short"),
    ((*SAY, "-v", "{newer}"), "schema version 2"),
    ((*SAY, "-v", "{teacher}"), "run `edgevoice compress voice.onnx -o BUNDLE`"),
    ((*SAY, "-v", "{teacher}.json"), "run `edgevoice compress voice.onnx -o BUNDLE`"),
    (("bench", "{teacher}"), "run `edgevoice compress voice.onnx -o BUNDLE`"),
    (("deploy", "{teacher}", "device"), "run `edgevoice compress voice.onnx -o BUNDLE`"),
    (("say", "-v", "{single}"), "Missing argument"),
    (("say", "Hello.", "-v", "{single}", "-o", "a.mp4"), "use .wav, .flac or .ogg"),
    (("say", "Hello.", "-v", "{single}", "-o", "none/a.wav"), "none is no folder"),
    (("say", "Hello.", "-v", "{single}", "-o", "{full}"), "is no plain file"),
    (("say", "Hello.", "-v", "{single}", "-o", "/dev/null"), "is no plain file"),
    (("bench", "nowhere"), "nowhere does not exist"),
    (("bench", "{full}"), "neither a bundle nor a deployed folder"),
    (("bench", "{cut}"), "vocoder.fp32.onnx was changed or cut short"),
    (("bench", "{single}", "--runs", "9"), "--runs"),
    (("bench", "{single}", "--threads", "0"), "--threads"),
    (("bench",), "Missing argument"),
    (("targets", "cpu"), "cpu"),
    (("plan", "nowhere"), "nowhere does not exist"),
    (("plan", "{single}", "--target", "toaster"), "toaster"),
    (("plan", "{single}", "--target", "none.toml"), "none.toml"),
    (("plan", "{single}", "--target", "{file}"), "thesis.toml"),
    (("plan", "{single}", "--target", "xavier-nx-8gb"), "xavier"),
    (("plan", "{cut}"), "changed or cut short"),
    (("plan", "{newer}"), "schema version 2"),
    (("deploy", "nowhere", "device"), "nowhere does not exist"),
    (("deploy", "{full}", "device"), "neither a bundle nor a deployed folder"),
    (("deploy", "{cut}", "device"), "changed or cut short"),
    (("deploy", "{newer}", "device"), "schema version 2"),
    (("deploy", "{single}", "{full}"), "holds other things"),
    (("deploy", "{single}", "{file}"), "is a file"),
    (("deploy", "{single}", "device", "--keep", "1"), "--keep"),
    (("deploy", "{single}"), "Missing argument"),
    (("rollback", "nowhere"), "no deployed folder"),
    (("status", "{full}"), "no deployed folder"),
    (("releases", "{single}"), "no deployed folder"),
    (("say", "Hello.", "-o", "-", "--socket", "none.sock"), "no service listens at none.sock"),
    (("deploy", "{single}", "device", "--restart", "'sh"), "is no command"),
    (("deploy", "{single}", "device", "--service", "--health", "-1"), "--health"),
    (("serve", "nowhere"), "nowhere does not exist"),
    (("serve", "{single}"), "name one with --socket"),
    (("unit", "nowhere"), "no deployed folder"),
    (("unit", "{single}"), "no deployed folder"),
    (("doctor", "please"), "please"),
    (("sing",), "No such command"),
]


@pytest.fixture(scope="module")
def cut(single: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cut") / "bundle"
    shutil.copytree(single, folder)
    os.truncate(folder / "vocoder.fp32.onnx", 5000)
    return folder


@pytest.fixture(scope="module")
def newer(single: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newer") / "bundle"
    shutil.copytree(single, folder)
    edit(folder, lambda plain: plain.update(schema=2))
    return folder


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_bad_input_is_one_line_and_leaves_nothing(
    run: Run, place: Path, request: pytest.FixtureRequest, arguments: tuple[str, ...], message: str
) -> None:
    (place / "full").mkdir()
    files = ("full/.hidden", "full/thesis.toml", "voice.onnx", "voice.onnx.json")
    for name in files:
        (place / name).write_text("years = 'of work'\n")
    names = {name: request.getfixturevalue(name) for name in ("single", "trio", "cut", "newer")}
    names |= {"full": "full", "file": "full/thesis.toml", "teacher": "voice.onnx"}
    done = run(*(argument.format(**names) for argument in arguments))
    assert_refused(done, message)
    assert {str(path.relative_to(place)) for path in place.rglob("*")} == {"full", *files}
    assert all((place / name).read_text() == "years = 'of work'\n" for name in files)


def assert_refused(done: Ended, message: str) -> None:
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert done.status == 2
    assert done.stdout == b""


def test_without_aplay_say_names_what_to_install(
    run: Run, single: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("aplay"):
        pytest.skip("this machine has aplay")
    assert_refused(run("say", "Hello.", "-v", single), "alsa-utils")


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg"])
def test_a_disk_that_fills_up_is_one_line_and_leaves_nothing(
    run: Run, single: Path, place: Path, name: str
) -> None:
    done = run("say", "Hello there.", "-v", single, "-o", name, file_limit=2000)
    assert_refused(done, f"cannot write {name}: ")
    assert not list(place.iterdir())


# Real processes: pipes and signals.


@pytest.fixture
def start(place: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: object, **options: Any) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [*PROGRAM, *map(str, arguments)]
        process = subprocess.Popen(command, cwd=place, **{**pipes, **options})
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate(timeout=LIMIT)


def exactly(stream: IO[bytes] | None, count: int) -> bytes:
    assert stream is not None
    return stream.read(count)


def test_a_line_is_spoken_while_the_pipe_stays_open(
    start: Callable[..., subprocess.Popen[bytes]], single: Path
) -> None:
    first = expected(single, "Good morning.")
    process = start("say", "-", "-o", "-", "-v", single, "--threads", 1)
    assert process.stdin is not None
    process.stdin.write(b"Good morning.\n")
    process.stdin.flush()
    heard = exactly(process.stdout, len(first))
    assert np.abs(samples(heard).astype(int) - samples(first)).max() <= 4
    rest, errors = process.communicate(b"Good morning.\n", timeout=LIMIT)
    assert len(rest) == len(first) + 2 * round(PAUSE_SECONDS * 22050)
    assert (process.returncode, errors) == (0, b"")


def test_a_reader_that_stops_is_no_fault(start: Callable[..., subprocess.Popen[bytes]], single: Path) -> None:
    process = start("say", "This is a sentence. " * 50, "-o", "-", "-v", single, stdin=subprocess.DEVNULL)
    exactly(process.stdout, 1000)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    assert process.wait(timeout=LIMIT) != 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_say_that_is_stopped_leaves_no_file(
    start: Callable[..., subprocess.Popen[bytes]], single: Path, place: Path, number: signal.Signals
) -> None:
    process = start("say", "-", "-o", "a.wav", "-v", single)
    assert process.stdin is not None
    process.stdin.write(b"Good morning.\n")
    process.stdin.flush()
    while not list(place.iterdir()):  # until the unfinished file is there
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=LIMIT)
    assert errors == b""
    assert process.returncode == 128 + number
    assert not list(place.iterdir())


def test_raw_sound_to_a_full_device_is_one_line(
    start: Callable[..., subprocess.Popen[bytes]], single: Path
) -> None:
    with open("/dev/full", "wb") as full:
        process = start("say", "Hello.", "-o", "-", "-v", single, stdout=full)
        _, errors = process.communicate(timeout=LIMIT)
    assert errors == b"error: cannot write to standard output: No space left on device\n"
    assert process.returncode == 2


def test_the_loudspeaker_hears_all_and_its_underruns_are_told(
    start: Callable[..., subprocess.Popen[bytes]], single: Path, tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "aplay"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\ncat > "{tmp_path}/heard"; echo "$@" > "{tmp_path}/arguments"\n')
    with program.open("a") as script:
        script.write("for n in 1 2; do echo 'underrun!!! (at least 1.0 ms long)' >&2; done\n")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"}
    process = start("say", "Hello.", "-v", single, "--threads", 1, "--device", "plughw:1", env=environment)
    out, errors = process.communicate(timeout=LIMIT)
    assert (process.returncode, out) == (0, b"")
    assert errors.startswith(b"note: the loudspeaker ran out of sound 2 times")
    heard, wanted = samples((tmp_path / "heard").read_bytes()), samples(expected(single, "Hello."))
    assert len(heard) == len(wanted)
    assert np.abs(heard.astype(int) - wanted).max() <= 4
    assert "-D plughw:1" in (tmp_path / "arguments").read_text()


# How a speaker is named.


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (None, None),
        ("anna", "anna"),
        ("3", "3"),
        ("anna=1", {"anna": 1.0}),
        ("anna=0.7, ben=0.3", {"anna": 0.7, "ben": 0.3}),
    ],
)
def test_speakers_are_read(text: str | None, wanted: object) -> None:
    assert parse(text) == wanted


@pytest.mark.parametrize("text", ["anna=", "anna=x", "anna=1,", "anna=1,ben", "=1,=", "anna=1=2", "anna,ben"])
def test_a_mixture_that_is_none_shows_the_form(text: str) -> None:
    with pytest.raises(EdgevoiceError, match="NAME=WEIGHT,NAME=WEIGHT"):
        parse(text)


def test_a_mixture_names_a_speaker_once() -> None:
    with pytest.raises(EdgevoiceError, match="names 'anna' twice"):
        parse("anna=0.5,anna=0.2")
