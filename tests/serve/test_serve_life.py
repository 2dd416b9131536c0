"""A service from its start to its end: signals, kills, another release, a trial that was abandoned."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from serve.running import LIMIT_SECONDS, MAIN, PLAIN, content, reason, running, until

from edgevoice.deploy.layout import Folder, current_name, on_trial
from edgevoice.deploy.local import commit, deploy
from edgevoice.deploy.trial import abandoned, deploying
from edgevoice.errors import EdgevoiceError
from edgevoice.serve import client, place, releases
from edgevoice.serve.protocol import Words
from edgevoice.serve.service import Settings
from edgevoice.serve.service import serve as serve_here
from targets import memory

SHORT = "Hello there. How are you?"
LONG = "This is a sentence that goes on. " * 400
NO_ROOM = """
from targets import memory
plain = memory.read
memory.read = lambda *_: memory.Memory(plain().total, 0)
"""


def serve(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A service that is not to come up."""
    command = [sys.executable, "-c", PLAIN + MAIN, "serve", *map(str, arguments)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def test_a_kill_leaves_nothing_in_the_way_and_breaks_off_cleanly(root: Path) -> None:
    with running(root, "--threads", 1) as service:
        assert stat.S_IMODE(service.socket.stat().st_mode) == 0o600
        refused = serve(root)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
        assert "another service listens at" in refused.stderr
        speech = iter(client.speak(service.socket, Words(LONG)))
        assert next(speech)
        service.signal(signal.SIGKILL)
        assert "in the middle of the speech: say it again" in reason(lambda: list(speech))
        service.ended()
        assert service.socket.exists()
        assert client.find(root) is None
    with running(root, "--threads", 1) as service:
        assert service.say(SHORT)
        assert client.find(root) == service.socket


def test_what_is_being_said_is_finished_when_it_is_told_to_stop(root: Path) -> None:
    with running(root, "--threads", 1) as service:
        wanted = service.say(SHORT)
        speech = client.speak(service.socket, Words(SHORT))
        service.signal(signal.SIGTERM)
        assert b"".join(speech) == wanted
        assert service.ended() == 0
        assert not service.socket.exists()
        assert service.log.read_text().count("\n") == 1


def test_a_second_signal_ends_it_at_once(root: Path) -> None:
    with running(root, "--threads", 1) as service:
        speech = iter(client.speak(service.socket, Words(LONG)))
        assert next(speech)
        service.signal(signal.SIGINT)
        until(lambda: not service.socket.exists() or None)
        service.signal(signal.SIGINT)
        assert "say it again" in reason(lambda: list(speech))
        assert service.ended() == 0


def test_a_signal_takes_up_the_new_release_and_drops_no_request(
    root: Path, two: Path, first: str, second: str, tmp_path: Path
) -> None:
    """And systemd is told of it; the folder has a name longer than a socket's address may be."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    root = root.rename(long / "device")
    with (
        notified(tmp_path) as told,
        running(
            root, "--threads", 1, environment={"NOTIFY_SOCKET": told.name, "WATCHDOG_USEC": "400000"}
        ) as service,
    ):
        told.until("READY=1", f"STATUS=speaks with release {first}")
        wanted = service.say(SHORT * 4)
        deploy(two, root, self_test=content)
        assert service.status().release == first
        speech = client.speak(service.socket, Words(SHORT * 4))
        service.signal(signal.SIGHUP)
        assert b"".join(speech) == wanted
        until(lambda: service.status().release == second or None)
        assert service.say(SHORT * 4) == wanted  # the files are the same
        assert service.status().pid == service.process.pid
        told.until("RELOADING=1")
        told.until("READY=1", f"STATUS=speaks with release {second}")
        told.until("WATCHDOG=1")
        service.signal(signal.SIGTERM)
        told.until("STOPPING=1")
        assert service.ended() == 0


def test_without_memory_for_two_voices_it_begins_anew_and_drops_no_request(
    root: Path, two: Path, first: str, second: str
) -> None:
    with running(root, "--threads", 1, before=NO_ROOM) as service:
        wanted = service.say(SHORT)
        deploy(two, root, self_test=content)
        before = service.status()
        heard: list[bytes] = []
        speech = client.speak(service.socket, Words(SHORT))
        assert client.reload(service.socket).release == first
        waiting = threading.Thread(target=lambda: heard.append(service.say(SHORT)))
        waiting.start()
        heard.append(b"".join(speech))
        waiting.join(LIMIT_SECONDS)
        after = until(lambda: state if (state := service.status()).release == second else None)
        assert heard == [wanted, wanted]
        assert after.pid == before.pid == service.process.pid
        assert after.instance != before.instance
        assert "begins anew" in service.log.read_text()


def test_a_release_that_does_not_load_leaves_the_old_one_speaking(root: Path, two: Path, first: str) -> None:
    with running(root, "--threads", 1) as service:
        damaged = deploy(two, root, self_test=content).release.path / "text.json"
        size = damaged.stat().st_size
        damaged.unlink()  # the other release has it too, by a hard link
        damaged.write_bytes(b"x" * size)
        assert "text.json was changed" in reason(lambda: client.reload(service.socket))
        assert (service.status().release, "changed" in service.status().problem) == (first, True)
        assert service.say(SHORT)
    with running(root, "--threads", 1) as service:  # nor does it keep a start from speaking
        assert (service.status().release, "changed" in service.status().problem) == (first, True)


# A release on trial.


def test_a_trial_that_was_abandoned_is_gone_back_from_at_start(
    root: Path, two: Path, first: str, second: str
) -> None:
    deploy(two, root, trial=True, self_test=content)
    assert current_name(Folder(root)) == second
    assert abandoned(Folder(root))
    with running(root, "--threads", 1) as service:
        assert (service.status().release, service.status().problem) == (first, "")
        assert current_name(Folder(root)) == first


def test_a_deploy_that_dies_is_noticed_by_the_service_that_speaks(
    root: Path, two: Path, first: str, second: str
) -> None:
    with ExitStack() as lives:
        lives.enter_context(deploying(Folder(root)))
        deploy(two, root, trial=True, self_test=content)
        with running(root, "--threads", 1) as service:
            state = service.status()
            assert (state.release, state.trial) == (second, True)
            with pytest.raises(EdgevoiceError, match="another deploy"), deploying(Folder(root)):
                pass
            lives.close()
            after = until(lambda: now if (now := service.status()).release == first else None)
            assert (after.pid, after.trial, after.problem) == (state.pid, False, "")
            assert current_name(Folder(root)) == first
            assert service.say(SHORT)


def test_a_trial_that_is_committed_stays(root: Path, two: Path, second: str) -> None:
    with deploying(Folder(root)):
        deploy(two, root, trial=True, self_test=content)
        assert not abandoned(Folder(root))
        commit(root)
    assert not on_trial(Folder(root))
    assert not abandoned(Folder(root))


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the releases that would have been loaded."""
    loaded: list[str] = []

    def load(path: Path, threads: int | None, engine: str) -> Any:
        loaded.append(path.name)
        return SimpleNamespace(no_room=False, lost=False)

    monkeypatch.setattr(releases, "_load", load)
    return loaded


def test_who_may_not_change_the_folder_speaks_with_the_old_release_all_the_same(
    root: Path, two: Path, first: str, second: str, loading: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise EdgevoiceError("cannot be written (Read-only file system)")

    deploy(two, root, trial=True, self_test=content)
    monkeypatch.setattr(releases, "go_back_if_on_trial", refuse)
    started = releases.start(root, None)
    assert (started.release, loading) == (first, [first])
    assert f"release {second} was never committed" in started.problem
    assert current_name(Folder(root)) == second


def test_an_untried_release_is_better_than_none(
    tmp_path: Path, two: Path, second: str, loading: list[str]
) -> None:
    deploy(two, tmp_path / "device", trial=True, self_test=content)
    assert releases.start(tmp_path / "device", None).release == second


def test_the_room_for_a_second_voice_is_judged_by_the_plan(
    root: Path, loading: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mebi = 1 << 20
    for total, available, error in (
        (900, 800, ""),
        (900, 0, "two voices need"),
        (20, 20, "raise the limit, or deploy a smaller voice"),
    ):
        free = memory.Memory(total * mebi, available * mebi)
        monkeypatch.setattr(memory, "read", lambda free=free: free)
        if error:
            with pytest.raises(EdgevoiceError, match=error):
                releases.again(root, None)
        else:
            releases.again(root, None)
    assert len(loading) == 1


def test_a_release_of_another_runtime_is_loaded_by_a_process_that_begins_anew(
    root: Path, loading: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(releases.launcher, "command", lambda _: [str(root / "bin" / "edgevoice")])
    monkeypatch.setattr(releases.install, "current_home", lambda _: Path(sys.prefix).resolve())
    releases.again(root, None)
    monkeypatch.setattr(releases.install, "current_home", lambda _: root / "runtimes" / "other")
    with pytest.raises(releases.Anew, match="another runtime"):
        releases.again(root, None)
    assert len(loading) == 1


# Where it listens, and what is refused.


def test_a_bundle_is_served_at_a_named_socket(one: Path, tmp_path: Path) -> None:
    named = tmp_path / "a.sock"
    with running(one, "--socket", named, "--threads", 1, socket=named) as service:
        assert (service.status().voice, len(service.say(SHORT)) > 1000) == ("one", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a socket to a group that one is not in needs root")
def test_the_socket_is_open_to_the_group_alone_and_a_reload_to_the_owner(root: Path) -> None:
    name, number = another_group()
    root.parent.chmod(0o755)
    with running(root, "--threads", 1, "--group", name) as service:
        found = service.socket.stat()
        assert (stat.S_IMODE(found.st_mode), found.st_gid) == (0o660, number)
        for groups, said in (([number], ["H", "X"]), ([], ["PermissionError"])):
            asked = ask_as_nobody(service.socket, groups)
            assert asked[: len(said)] == said
        assert "only root, the service's own user" in ask_as_nobody(service.socket, [number])[-1]


def another_group() -> tuple[str, int]:
    import grp

    found = next(entry for entry in grp.getgrall() if entry.gr_gid not in (0, *os.getgroups()))
    return found.gr_name, found.gr_gid


ASK = """
import json, os, socket, sys
path, groups = json.loads(sys.argv[1])
folder = os.open(os.path.dirname(path), os.O_RDONLY)
os.setgroups(groups), os.setgid(65534), os.setuid(65534)
said = []
for request in ({"text": "Hi."}, {"do": "reload"}):
    peer = socket.socket(socket.AF_UNIX)
    try:
        peer.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    except OSError as error:
        said = [type(error).__name__]
        break
    peer.sendall(json.dumps(request).encode() + b"\\n")
    said.append(peer.recv(1).decode())
    rest = peer.makefile("rb").read().decode("utf-8", "replace")
print(json.dumps([*said, rest] if len(said) > 1 else said))
"""


def ask_as_nobody(path: Path, groups: list[int]) -> list[str]:
    asked = subprocess.run(
        [sys.executable, "-c", ASK, json.dumps([str(path), groups])],
        capture_output=True,
        timeout=LIMIT_SECONDS,
        stdin=subprocess.DEVNULL,
    )
    assert asked.returncode == 0, asked.stderr
    answer: list[str] = json.loads(asked.stdout)
    return answer


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"group": "no-such-group"}, "there is no group 'no-such-group'"),
        ({"socket": "{root}/none/a.sock"}, "cannot listen at"),
        ({"socket": "{root}/state.json"}, "is no socket"),
        ({"path": "{one}"}, "name one with --socket"),
        ({"path": "{root}/releases"}, "neither a bundle nor a deployed folder"),
        ({"path": "{root}/nothing"}, "does not exist"),
    ],
)
def test_what_cannot_be_served_is_refused_first(
    root: Path, one: Path, settings: dict[str, str], message: str
) -> None:
    before = {path.name for path in root.iterdir()}
    given: dict[str, Any] = {name: value.format(root=root, one=one) for name, value in settings.items()}
    paths = {name: Path(value) for name, value in given.items() if name != "group"}
    wanted = Settings(**{"path": root, **given, **paths})
    assert message in reason(lambda: serve_here(wanted, lambda _: None))
    assert {path.name for path in root.iterdir()} - before <= {"run", "state.json.lock"}


def test_a_start_that_fails_is_one_line_and_leaves_no_socket(root: Path) -> None:
    done = serve(root, "--threads", 0)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --threads 0 is not possible")
    assert (done.returncode, done.stdout) == (2, "")
    assert [path.name for path in (root / "run").iterdir()] == ["voice.sock.lock"]


# What systemd is told.


class Told:
    """A socket in systemd's place; the kernel keeps ten messages, so they are taken at once."""

    def __init__(self, folder: Path) -> None:
        self.name = f"@edgevoice-test-{folder.name}-{os.getpid()}"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + self.name[1:])
        self._heard: list[set[str]] = []
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            self._heard.append(set(message.decode().splitlines()))

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._ear.join(LIMIT_SECONDS)
        self._socket.close()

    def until(self, *lines: str) -> None:
        """Until one message has had all the lines."""
        until(lambda: any(set(lines) <= message for message in self._heard) or None, f"{lines}")


notified = Told


def test_places(tmp_path: Path) -> None:
    root = tmp_path / "device"
    assert place.default(root, {}) == root / "run" / "voice.sock"
    assert place.default(root, {"RUNTIME_DIRECTORY": "/run/x:/run/y"}) == Path("/run/x/voice.sock")
    assert place.candidates(root)[1] == place.RUN / place.runtime_name(root) / "voice.sock"
    (tmp_path / "link").symlink_to(root)
    root.mkdir()
    assert place.runtime_name(tmp_path / "link") == place.runtime_name(root)
    assert place.runtime_name(root) != place.runtime_name(tmp_path)
    assert place.mark(tmp_path / "link") == place.mark(root)
