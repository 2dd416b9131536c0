"""Sound files that are whole or not there, raw samples, and `aplay` played by a script."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from edgevoice import audio
from edgevoice.errors import EdgevoiceError

Float = npt.NDArray[np.float32]

RATE = 22050


@pytest.fixture(scope="module")
def speech() -> list[Float]:
    """A second of something like speech, in uneven chunks."""
    steps = np.arange(RATE) / RATE
    sound = 0.4 * np.sin(2 * np.pi * 220 * steps) * np.sin(2 * np.pi * 2 * steps)
    return np.array_split(sound.astype(np.float32), [1, 700, 701, 9000, 9000])


def write(path: Path, chunks: Iterable[Float]) -> None:
    with audio.open_file(path, RATE) as out:
        for chunk in chunks:
            out.write(audio.pcm16(chunk))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.WAV", "a"])
def test_a_file_holds_the_sound_within_quantisation(tmp_path: Path, speech: list[Float], name: str) -> None:
    write(tmp_path / name, speech)
    data, rate = soundfile.read(tmp_path / name, dtype="float32")
    assert rate == RATE
    np.testing.assert_allclose(data, np.concatenate(speech), atol=1.01 / 32768)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_an_ogg_file_sounds_the_same(tmp_path: Path, speech: list[Float]) -> None:
    write(tmp_path / "a.ogg", speech)
    data, rate = soundfile.read(tmp_path / "a.ogg", dtype="float32")
    wanted = np.concatenate(speech)
    assert (rate, len(data)) == (RATE, len(wanted))
    assert np.sqrt(np.mean((data - wanted) ** 2)) < 0.05 * np.sqrt(np.mean(wanted**2))


def test_full_scale_is_not_wrapped(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", [np.array([1.0, -1.0, 0.0], np.float32)])
    data, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert data.tolist() == [32767, -32767, 0]


@pytest.mark.parametrize("name", ["a.mp4", "a.raw", "a.txt", "a.wav.gz", "a.wav~"])
def test_an_unknown_ending_is_refused_with_those_that_are_known(tmp_path: Path, name: str) -> None:
    with pytest.raises(EdgevoiceError, match=r"use \.wav, \.flac or \.ogg"):
        write(tmp_path / name, [])
    assert not list(tmp_path.iterdir())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="nowhere is no folder"):
        write(tmp_path / "nowhere" / "a.wav", [])


def test_what_is_no_plain_file_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    for target in (tmp_path / "folder", tmp_path / "pipe.wav", Path("/dev/null"), Path(".")):
        before = target.stat().st_ino
        with pytest.raises(EdgevoiceError, match="is no plain file"):
            write(target, [])
        assert target.stat().st_ino == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe.wav"]


def test_a_link_is_written_through(tmp_path: Path, speech: list[Float]) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "a.wav"
    link.symlink_to("there/b.wav")
    write(link, speech)
    assert link.is_symlink()
    assert soundfile.info(tmp_path / "there/b.wav").frames == RATE
    assert len(list((tmp_path / "there").iterdir())) == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, EdgevoiceError, RuntimeError])
@pytest.mark.parametrize("old", [None, b"the older file"])
def test_an_interrupted_writing_leaves_what_was_there(
    tmp_path: Path, speech: list[Float], old: bytes | None, error: type[BaseException]
) -> None:
    path = tmp_path / "a.wav"
    if old is not None:
        path.write_bytes(old)

    def chunks() -> Iterator[Float]:
        yield speech[0]
        assert len(list(tmp_path.iterdir())) == 1 + (old is not None)
        raise error

    with pytest.raises(error):
        write(path, chunks())
    assert [entry.read_bytes() for entry in tmp_path.iterdir()] == ([old] if old else [])


HOLD = """
import sys
from pathlib import Path
import numpy as np
from edgevoice import audio
with audio.open_file(Path(sys.argv[1]), 22050) as out:
    out.write(np.zeros(100, np.float32))
    print("written", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of writing ``killed.wav``."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "killed.wav")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        yield process
        process.kill()


def test_what_a_killed_writer_left_goes_with_the_next_write(
    tmp_path: Path, speech: list[Float], writer: subprocess.Popen[str]
) -> None:
    (tmp_path / ".mine").write_text("kept")
    write(tmp_path / "a.wav", speech)
    (unfinished,) = tmp_path.glob(".killed.wav.*")  # it is still being written
    writer.kill()
    writer.wait(timeout=60)
    assert unfinished.exists()
    write(tmp_path / "a.wav", speech)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".mine", "a.wav"]


@pytest.mark.parametrize("name", ["a" * 250 + ".wav", "声" * 80 + ".wav"])
def test_a_long_name_is_written(tmp_path: Path, speech: list[Float], name: str) -> None:
    write(tmp_path / name, speech)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    tmp_path: Path, speech: list[Float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EdgevoiceError, match=r"cannot write .*a\.wav: No space left on device"):
        write(tmp_path / "a.wav", speech)
    assert not list(tmp_path.iterdir())


def test_sound_that_did_not_all_arrive_is_no_file(
    tmp_path: Path, speech: list[Float], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Short:
        frames = RATE - 1

    monkeypatch.setattr(soundfile, "info", lambda _: Short)
    with pytest.raises(EdgevoiceError, match=r"cannot write .*a\.ogg: No space left on device"):
        write(tmp_path / "a.ogg", speech)
    assert not list(tmp_path.iterdir())


def test_others_may_read_the_file_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "a.wav", [])
    finally:
        os.umask(before)
    assert (tmp_path / "a.wav").stat().st_mode & 0o777 == 0o640


def test_pcm16_is_little_endian_rounded_and_symmetric() -> None:
    sound = np.array([0.0, 1.0, -1.0, 0.5, 1 / 32767, -1.4 / 32767], np.float32)
    values = [0, 32767, -32767, 16384, 1, -1]
    assert audio.pcm16(sound) == b"".join(value.to_bytes(2, "little", signed=True) for value in values)


def test_raw_sound_goes_out_chunk_by_chunk(speech: list[Float]) -> None:
    stream = io.BytesIO()
    flushed: list[int] = []
    stream.flush = lambda: flushed.append(stream.tell())  # type: ignore[method-assign]
    raw = audio.Raw(stream)
    for chunk in speech:
        raw.write(audio.pcm16(chunk))
    assert stream.getvalue() == audio.pcm16(np.concatenate(speech))
    assert flushed == [2 * int(length) for length in np.cumsum([len(chunk) for chunk in speech])]


def test_raw_sound_to_a_full_disk_is_one_line(speech: list[Float]) -> None:
    message = "cannot write to standard output: No space left"
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(EdgevoiceError, match=message):
        audio.Raw(full).write(audio.pcm16(speech[-1]))


def test_raw_sound_without_a_standard_output_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(EdgevoiceError, match="standard output is closed"):
        audio.Raw()


# The loudspeaker.

Aplay = Callable[[str], Path]


@pytest.fixture
def aplay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Aplay:
    """`aplay(script)` puts a shell script on PATH as aplay; what it writes to $OUT is the file it returns."""

    def install(script: str) -> Path:
        out = tmp_path / "heard"
        program = tmp_path / "bin" / "aplay"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nOUT="{out}"\n{script}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
        return out

    return install


def play(chunks: list[Float], device: str | None = None) -> audio.Loudspeaker:
    with audio.open_loudspeaker(RATE, device) as speaker:
        for chunk in chunks:
            speaker.write(audio.pcm16(chunk))
    return speaker


@pytest.mark.parametrize("device", [None, "plughw:1,0"])
def test_aplay_is_told_the_format_and_hears_all(
    aplay: Aplay, speech: list[Float], device: str | None
) -> None:
    heard = aplay('echo "$@" > "$OUT.args"; cat > "$OUT"')
    assert play(speech, device).underruns == 0
    assert heard.read_bytes() == audio.pcm16(np.concatenate(speech))
    arguments = heard.with_name("heard.args").read_text().split()
    named = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    assert arguments[0] == "-q"
    assert named == {"-t": "raw", "-f": "S16_LE", "-c": "1", "-r": "22050"} | (
        {"-D": device} if device else {}
    )


def test_underruns_are_counted_in_any_language(
    aplay: Aplay, speech: list[Float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    aplay(
        'case "$LC_ALL" in C) word=underrun;; *) word=Unterlauf;; esac\n'
        'cat > "$OUT"\n'
        'for n in 1 2 3; do echo "$word!!! (at least 12.345 ms long)" >&2; done'
    )
    assert play(speech).underruns == 3


LATE = "aplay: main:831: audio open error: No such file or directory"


@pytest.mark.parametrize("script", [f"echo '{LATE}' >&2; exit 1", f"cat > $OUT; echo '{LATE}' >&2; exit 1"])
@pytest.mark.parametrize("chunks", [1, 60])
def test_what_aplay_says_when_it_fails_is_passed_on(
    aplay: Aplay, speech: list[Float], script: str, chunks: int
) -> None:
    """At once or at the end; before the pipe is full or after."""
    aplay(script)
    with pytest.raises(EdgevoiceError) as caught:
        play(speech * chunks)
    assert "audio open error: No such file or directory" in str(caught.value)
    assert "--device" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_aplay_that_fails_without_a_word_is_reported_too(aplay: Aplay, speech: list[Float]) -> None:
    aplay("exit 7")
    with pytest.raises(EdgevoiceError, match="ended with status 7"):
        play(speech * 60)


def test_without_aplay_the_error_names_what_to_install(
    tmp_path: Path, speech: list[Float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EdgevoiceError, match=r"alsa-utils, or write to a file with -o"):
        play(speech)


def test_a_fault_while_speaking_silences_aplay_at_once(aplay: Aplay, speech: list[Float]) -> None:
    aplay("exec sleep 600")
    started: list[audio.Loudspeaker] = []

    def speak() -> None:
        with audio.open_loudspeaker(RATE, None) as speaker:
            started.append(speaker)
            raise RuntimeError("the voice failed")

    with pytest.raises(RuntimeError, match="the voice failed"):
        speak()
    assert started[0]._process.returncode == -signal.SIGKILL
