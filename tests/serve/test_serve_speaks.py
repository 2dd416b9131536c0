"""What a client of a running service meets; one real service for all."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from serve.running import LIMIT_SECONDS, Running, reason, until
from typer.testing import CliRunner

from edgevoice import cli
from edgevoice.errors import EdgevoiceError, NothingToSay
from edgevoice.runtime.voice import Voice
from edgevoice.serve import client, loop, place, protocol
from edgevoice.serve.protocol import Words

LONG = "This is a sentence that goes on. " * 400
MUCH = Words("One. Two. Three.", pause=60)  # more than a client takes that does not listen, and cheap
PROGRAM = "from edgevoice.cli import main\nmain()\n"


@pytest.fixture
def no_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a voice that is loaded in this process is a fault."""
    monkeypatch.setattr(Voice, "load", lambda *_, **__: pytest.fail("a voice was loaded"))


def say(service: Running, *arguments: str, stdin: bytes = b"") -> bytes:
    """`edgevoice say --voice ROOT ... -o -` in this process."""
    words = ["say", *arguments, "--voice", str(service.root), "-o", "-"]
    done = CliRunner().invoke(cli.app, words, input=stdin, catch_exceptions=False)
    return done.stdout_bytes


def alone(*arguments: object, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        **options,
    )


def connect(service: Running, data: bytes = b"") -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.settimeout(LIMIT_SECONDS)
    with place.address(service.socket) as address:
        client.connect(peer, address, LIMIT_SECONDS)
    peer.sendall(data)
    return peer


def everything(peer: socket.socket) -> list[tuple[bytes, bytes]]:
    """All frames up to the end of the connection."""
    with peer, peer.makefile("rb") as stream:
        data = stream.read()
    frames = []
    while data:
        kind, length = protocol.HEAD.unpack(data[: protocol.HEAD.size])
        frames.append((kind, data[protocol.HEAD.size :][:length]))
        data = data[protocol.HEAD.size + length :]
    return frames


def idle(service: Running) -> bool:
    return service.status().waiting == 0


# The same sound.


def test_through_the_service_it_is_the_same_sound_bit_for_bit(service: Running, tmp_path: Path) -> None:
    words = ["say", "-q", "Good morning. How are you?", "--speed", "1.2", "--pause", "0.1", "--seed", "5"]
    words += ["--speaker", "speaker_0=1,speaker_2=3", "-v", str(service.root), "-o"]
    for name in ("-", "a.flac"):
        output = name if name == "-" else str(tmp_path / name)
        before = service.status().spoken
        through = CliRunner().invoke(cli.app, [*words, output], catch_exceptions=False)
        heard = through.stdout_bytes or (tmp_path / name).read_bytes()
        assert service.status().spoken == before + 1
        here = alone(*words, output, "--threads", 1)
        assert service.status().spoken == before + 1
        assert (here.returncode, here.stderr) == (0, b"")
        assert len(heard) > 10_000
        assert heard == (here.stdout or (tmp_path / name).read_bytes())


def test_options_change_the_sound(service: Running, no_loading: None) -> None:
    plain = say(service, "Hello there.")
    assert plain == say(service, "Hello there.") == service.say("Hello there.")
    for option in (("--seed", "1"), ("--speed", "2"), ("--speaker", "2")):
        assert say(service, "Hello there.", *option) != plain


def test_lines_of_standard_input_go_through_the_service(service: Running, no_loading: None) -> None:
    long = "word " * 60
    done = CliRunner().invoke(
        cli.app,
        ["say", "-", "-v", str(service.root), "-o", "-", "--pause", "0.1"],
        input=f"Good morning.\n\n***\n{long}\n".encode(),
        catch_exceptions=False,
    )
    wanted = service.say("Good morning.", pause=0.1) + bytes(2 * 2205) + service.say(long, pause=0.1)
    assert done.stdout_bytes == wanted
    assert done.stderr == "note: skipped a line without letters or numbers\n"


def test_what_is_skipped_is_told(service: Running, no_loading: None) -> None:
    words = ["say", "Good 🎉 morning\udcff.", "-v", str(service.root), "-o", "-"]
    done = CliRunner().invoke(cli.app, words, catch_exceptions=False)
    assert len(done.stdout_bytes) > 1000
    broken, emoji = done.stderr.splitlines()
    assert broken.startswith("note: skipped bytes that are not UTF-8: ")
    assert emoji == "note: skipped 1 emoji: they cannot be spoken"


def test_a_client_loads_neither_engine_nor_numpy(service: Running) -> None:
    code = PLAIN_IMPORTS.format(path=str(service.socket))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 1000


PLAIN_IMPORTS = """
import sys
from edgevoice.cli import main
sys.argv = ["edgevoice", "say", "Hello.", "--socket", {path!r}, "-o", "-"]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
assert not {{"numpy", "onnxruntime", "soundfile"}} & set(sys.modules), "loaded"
"""


# What is refused.


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (Words(""), NothingToSay, "nothing to say"),
        (Words("😀"), NothingToSay, "nothing to say"),
        (Words("Hi.", speed=0), EdgevoiceError, "speed 0.0"),
        (Words("Hi.", pause=61), EdgevoiceError, "pause 61.0"),
        (Words("Hi.", seed=-1), EdgevoiceError, "seed -1"),
        (Words("Hi.", speaker="anna"), EdgevoiceError, "speaker_0, speaker_1, speaker_2"),
        (Words("Hi.", speaker={"speaker_0": -1.0}), EdgevoiceError, "weights of 0 or more"),
    ],
)
def test_what_no_voice_can_speak(service: Running, words: Words, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=re.escape(message)) as caught:
        client.speak(service.socket, words)
    assert type(caught.value) is kind
    assert idle(service)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"\n", "no request"),
        (b"Hello\n", "no request"),
        (b"\xff\xfe\n", "no request"),
        (b"[" * 100_000 + b"\n", "no request"),
        (b'{"text": "Hi.", "volume": 11}\n', "volume"),
        (b'{"text": 3}\n', "text"),
        (b'{"do": "dance"}\n', "dance"),
        (b'{"text": "' + b"x" * protocol.REQUEST_BYTES + b'"}\n', "256 KiB at most"),
        (b"x" * (protocol.REQUEST_BYTES + 1), "256 KiB at most"),
    ],
)
def test_what_is_no_request_is_answered_with_a_line(service: Running, line: bytes, message: str) -> None:
    ((kind, payload),) = everything(connect(service, line))
    answer = json.loads(payload)
    assert (kind, answer["reason"]) == (b"X", "refused")
    assert message in answer["error"]
    assert "\n" not in answer["error"]


def test_a_text_that_is_too_long_for_the_service_is_spoken_here(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*_: object, **__: object) -> Voice:
        raise EdgevoiceError("loads it here")

    monkeypatch.setattr(Voice, "load", load)
    assert reason(lambda: say(service, "x" * protocol.REQUEST_BYTES)) == "loads it here"


def test_a_given_socket_stands_for_a_voice(service: Running, tmp_path: Path, no_loading: None) -> None:
    runner = CliRunner()
    words = ["say", "Hello.", "-o", "-", "--socket", str(service.socket)]
    assert runner.invoke(cli.app, words, catch_exceptions=False).stdout_bytes == service.say("Hello.")
    for more in (["-v", str(service.root)], ["--threads", "1"]):
        refused = runner.invoke(cli.app, words + more).exception
        assert "leave out --voice and --threads" in str(refused)
    words[-1] = str(tmp_path / "none.sock")
    assert "no service listens at" in str(runner.invoke(cli.app, words).exception)


# Many at once.


def test_clients_at_once_each_hear_their_own(service: Running) -> None:
    texts = [f"Number {number}. Good bye." for number in range(8)]
    wanted = [service.say(text, seed=number) for number, text in enumerate(texts)]
    with ThreadPoolExecutor(len(texts)) as pool:
        heard = list(pool.map(lambda row: service.say(row[1], seed=row[0]), enumerate(texts)))
    assert heard == wanted
    assert len(set(heard)) == len(texts)


def test_idle_connections_block_nobody(service: Running) -> None:
    """More than any limit: those that say nothing, and those that say half of something."""
    silent = [connect(service, b"" if number % 2 else b'{"text": "Hel') for number in range(140)]
    try:
        assert len(service.say("Hello.")) > 1000
        assert idle(service)
    finally:
        for peer in silent:
            peer.close()


def test_an_unfinished_request_is_dropped_in_time(
    service: Running,
) -> None:
    start = time.monotonic()
    assert everything(connect(service, b'{"text": ')) == []
    assert time.monotonic() - start >= protocol.REQUEST_SECONDS - 0.5


def test_a_client_that_does_not_listen_keeps_nobody_waiting(service: Running) -> None:
    deaf = [connect(service, protocol.line(MUCH)) for _ in range(3)]
    try:
        until(lambda: service.status().waiting == 3 or None)
        assert len(service.say("Hello.")) > 1000
        assert service.status().waiting == 3
    finally:
        for peer in deaf:
            peer.close()
    until(lambda: idle(service) or None)


def test_one_too_many_is_told_that_it_is_busy(service: Running) -> None:
    deaf = [connect(service, protocol.line(MUCH)) for _ in range(32)]
    try:
        until(lambda: service.status().waiting == 32 or None)
        with pytest.raises(client.ServiceIll, match="32 requests are before this one"):
            client.speak(service.socket, Words("Hello."))
    finally:
        for peer in deaf:
            peer.close()
    until(lambda: idle(service) or None)
    assert len(service.say("Hello.")) > 1000


def test_a_client_that_goes_away_cancels_its_work(service: Running) -> None:
    before = service.status().spoken
    speech = client.speak(service.socket, Words(LONG))
    chunks = iter(speech)
    assert len(next(chunks)) > 100  # it comes as it is made
    assert service.status().waiting == 1
    speech.close()
    until(lambda: idle(service) or None)
    assert service.status().spoken == before


def test_a_client_that_is_killed_cancels_its_work(service: Running) -> None:
    client_process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "say", LONG, "--socket", str(service.socket), "-o", "-"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert client_process.stdout is not None
        assert len(client_process.stdout.read(1000)) == 1000
        assert service.status().waiting == 1
        client_process.send_signal(signal.SIGKILL)
        until(lambda: idle(service) or None)
    finally:
        client_process.kill()
        client_process.communicate(timeout=LIMIT_SECONDS)


def test_a_client_may_end_its_own_side(service: Running) -> None:
    for line in (protocol.line(Words("Hello.")), protocol.line(Words("Hello.")).rstrip(b"\n")):
        peer = connect(service, line)
        peer.shutdown(socket.SHUT_WR)
        frames = everything(peer)
        assert [frames[0][0], frames[-1][0]] == [b"H", b"E"]
        sound = b"".join(payload for kind, payload in frames if kind == b"S")
        assert sound == service.say("Hello.")
        assert json.loads(frames[-1][1]) == {"samples": len(sound) // 2}
        assert json.loads(frames[0][1])["rate"] == 22050


def test_frames_are_small(service: Running) -> None:
    frames = everything(connect(service, protocol.line(Words("One. Two.", pause=10))))
    assert max(len(payload) for _, payload in frames) == protocol.SOUND_BYTES


def test_status_says_what_speaks(service: Running) -> None:
    state = service.status()
    assert (state.voice, state.rate, state.threads, state.problem) == ("trio", 22050, 1, "")
    assert state.pid == service.process.pid
    assert state.release == os.readlink(service.root / "current").rpartition("/")[2]
    done = CliRunner().invoke(cli.app, ["status", str(service.root), "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["service"]["instance"] == state.instance
    done = CliRunner().invoke(cli.app, ["status", str(service.root)], catch_exceptions=False)
    assert f"service   {state.release}  trio\n" in done.stdout


# A service that is ill, played by a socket.


@pytest.fixture
def ill(tmp_path: Path, one: Path) -> Any:
    """`ill(answer)` listens for a deployed folder and answers every request with those bytes."""
    from serve.running import content

    from edgevoice.deploy.local import deploy

    root = tmp_path / "device"
    deploy(one, root, self_test=content)
    (root / "run").mkdir()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with place.address(root / "run" / "voice.sock") as address:
        listener.bind(address)
    listener.listen(8)

    def play(answer: Callable[[bytes], bytes]) -> Path:
        def serve() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                with peer:
                    request = peer.makefile("rb").readline()
                    peer.sendall(answer(request))

        threading.Thread(target=serve, daemon=True).start()
        return root

    yield play
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def state_of(root: Path) -> bytes:
    state = protocol.Status(str(root), place.mark(root), "0" * 16, "x", 22050, "i", 1, 1)
    return protocol.told(b"I", state)


HEADER = protocol.told(b"H", protocol.Header(22050, "0" * 16, "x"))


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", "broke off"),
        (HEADER, "broke off"),
        (b"HTTP/1.1 400 Bad Request", "cannot read: update both"),
        (protocol.frame(b"S", b"1234"), "cannot read: update both"),
        (protocol.frame(b"X", b'{"error": "the service is stopping", "reason": "stopping"}'), "is stopping"),
    ],
)
def test_an_ill_service_is_told_of_and_the_voice_loaded(
    ill: Any, answer: bytes, message: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def load(*_: object, **__: object) -> Voice:
        raise EdgevoiceError("loads it here")

    root = ill(lambda request: state_of(tmp_path / "device") if b"status" in request else answer)
    monkeypatch.setattr(Voice, "load", load)
    done = CliRunner().invoke(cli.app, ["say", "Hello.", "-v", str(root), "-o", "-"])
    assert str(done.exception) == "loads it here"
    (note,) = done.stderr.splitlines()
    assert message in note
    assert note.endswith("; the voice is loaded here instead")


def test_sound_that_breaks_off_is_an_error_and_no_file(ill: Any, tmp_path: Path) -> None:
    part = HEADER + protocol.frame(b"S", bytes(4000))
    root = ill(lambda request: state_of(tmp_path / "device") if b"status" in request else part)
    done = CliRunner().invoke(cli.app, ["say", "Hello.", "-v", str(root), "-o", str(tmp_path / "a.wav")])
    assert "in the middle of the speech: say it again" in str(done.exception)
    assert not (tmp_path / "a.wav").exists()


def test_a_service_that_hangs_is_given_up(
    ill: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Path
) -> None:
    root = tmp_path / "device"  # bound, and nobody answers
    with pytest.raises(client.ServiceIll, match="does not answer"):
        client.find(root, seconds=0.2)


def test_the_service_of_another_folder_is_not_used(service: Running, root: Path) -> None:
    assert client.find(root, service.socket) is None
    (root / "run").mkdir()
    (root / "run" / "voice.sock").symlink_to(service.socket)
    assert client.find(root) is None
    assert "none runs" in str(client.report(root))


def test_limits_leave_room_for_a_long_pause() -> None:
    assert loop.STALL_SECONDS > 60
