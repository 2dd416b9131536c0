"""A deploy in which a running service takes part: the new release speaks, or the old one again."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from serve.running import LIMIT_SECONDS, MAIN, PLAIN, Running, content, reason, running, until
from typer.testing import CliRunner

from edgevoice import cli
from edgevoice.deploy import health
from edgevoice.deploy.health import Watch, deploy_with_service, rollback_with_service
from edgevoice.deploy.layout import Folder, current_name, on_trial, resolve
from edgevoice.deploy.local import releases
from edgevoice.deploy.trial import abandoned
from edgevoice.errors import EdgevoiceError

# A service whose process ends at its first request with the release {release}.
DOOMED = """
import os
from edgevoice.serve.jobs import Job
step = Job.step
def die(self):
    if self.voice.bundle.manifest.voice.name == "two":
        os._exit(7)
    step(self)
Job.step = die
"""
# One that is silent with it, and one that cannot load it.
SILENT = """
from edgevoice.serve import jobs
plain = jobs.pcm16
def begin(self, begin=jobs.Job._begin):
    muted = self.voice.bundle.manifest.voice.name == "two"
    return (bytes(len(sound)) if muted else sound for sound in begin(self))
jobs.Job._begin = begin
"""
UNABLE = """
from edgevoice.errors import EdgevoiceError
from edgevoice.serve import releases
load = releases._load
def refuse(path, threads, engine):
    voice = load(path, threads, engine)
    if voice.bundle.manifest.voice.name == "two":
        raise EdgevoiceError("the engine refused the file")
    return voice
releases._load = refuse
"""
BRIEF = Watch(seconds=0.3)


def put(source: Path, root: Path, watch: Watch = BRIEF) -> Any:
    return deploy_with_service(source, root, watch=watch, self_test=content)


def settled(root: Path, name: str) -> None:
    """What lies in the folder after all is over."""
    folder = Folder(root)
    assert (current_name(folder), on_trial(folder)) == (name, False)
    assert resolve(root).name == name
    assert not folder.staging.exists()


def test_a_service_takes_up_the_new_release_and_goes_back_by_a_rollback(
    root: Path, two: Path, first: str, second: str
) -> None:
    with running(root, "--threads", 1) as service:
        before = service.status()
        assert put(two, root).release.name == second
        after = service.status()
        assert (after.release, after.instance, after.problem) == (second, before.instance, "")
        assert after.spoken == before.spoken + 2  # it was heard at both ends of the window
        settled(root, second)
        assert put(two, root).copied_bytes == 0  # once more: nothing to be done, and still heard
        assert service.status().spoken == after.spoken + 2
        words = ["rollback", str(root)]
        done = CliRunner().invoke(cli.app, words, catch_exceptions=False)
        assert f"release {first}" in done.stdout
        settled(root, first)
        assert service.status().release == first
        assert service.say("Hello.")
        assert rollback_with_service(root, second[:6], Watch(wanted=False)).name == second
        assert service.status().release == first


@pytest.mark.parametrize(
    ("fault", "message"),
    [(SILENT, "nearly silent"), (UNABLE, "the engine refused the file")],
    ids=["silent", "unable"],
)
def test_a_release_that_fails_in_the_service_is_gone_back_from(
    root: Path, two: Path, first: str, fault: str, message: str
) -> None:
    with running(root, "--threads", 1, before=fault) as service:
        said = reason(lambda: put(two, root))
        assert said.startswith("the new release failed in the service: ")
        assert message in said
        assert said.endswith(f"; release {first} speaks again")
        settled(root, first)
        assert service.status().release == first
        assert service.say("Hello.")


def test_a_service_that_dies_of_the_new_release_comes_up_with_the_old_one(
    root: Path, two: Path, first: str
) -> None:
    with running(root, "--threads", 1, before=DOOMED, supervised=True) as service:
        said = reason(lambda: put(two, root))
        assert "broke off" in said
        assert said.endswith(f"; release {first} speaks again")
        settled(root, first)
        assert service.say("Hello.")


def test_a_service_that_breaks_off_while_it_is_asked_is_asked_again(
    root: Path, two: Path, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies of the new release just when the way back begins."""
    find, asked = health._find, []

    def breaks_off(folder: Folder, watch: Watch) -> object:
        asked.append(folder)
        if len(asked) == 2:
            raise EdgevoiceError("the service broke off")
        return find(folder, watch)

    monkeypatch.setattr(health, "_find", breaks_off)
    with running(root, "--threads", 1, before=SILENT) as service:
        assert reason(lambda: put(two, root)).endswith(f"; release {first} speaks again")
        assert len(asked) == 2
        assert service.status().release == first


def test_a_service_that_dies_and_is_not_started_again_is_named(
    root: Path, two: Path, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "SUPERVISOR_SECONDS", 0.5)
    with running(root, "--threads", 1, before=DOOMED) as service:
        said = reason(lambda: put(two, root))
        assert f"; release {first} is current again, but the service has not taken it up, so restart" in said
        assert service.ended() == 7
        settled(root, first)
    with running(root, "--threads", 1, before=DOOMED) as service:
        assert service.say("Hello.")


# A deploy that is stopped in its window.


@contextmanager
def deploying(source: Path, root: Path) -> Iterator[subprocess.Popen[str]]:
    """A real deploy with a window that never ends."""
    code = (
        PLAIN + "from edgevoice.deploy import local, isolate\nfrom edgevoice.deploy.selftest import Report\n"
    )
    code += "from edgevoice.deploy import health\n"
    code += "health.deploy_with_service.__kwdefaults__['self_test'] = lambda *_: Report([])\n" + MAIN
    command = [sys.executable, "-c", code, "deploy", str(source), str(root), "--health", "3600"]
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=LIMIT_SECONDS)


def in_its_window(service: Running, name: str) -> None:
    until(lambda: ((state := service.status()).release == name and state.trial and state.spoken) or None)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_deploy_that_is_stopped_leaves_the_old_release_speaking(
    root: Path, two: Path, first: str, second: str, number: signal.Signals
) -> None:
    with running(root, "--threads", 1) as service, deploying(two, root) as process:
        in_its_window(service, second)
        assert on_trial(Folder(root))
        assert not abandoned(Folder(root))
        assert "another deploy into" in reason(lambda: put(two, root))
        process.send_signal(number)
        _, errors = process.communicate(timeout=LIMIT_SECONDS)
        if number == signal.SIGTERM:
            assert process.returncode == 128 + number
            assert errors == f"note: release {first} speaks again\n"
        until(lambda: service.status().release == first or None)
        assert current_name(Folder(root)) == first
        assert not on_trial(Folder(root))
        assert service.say("Hello.")
        assert put(two, root).release.name == second
        settled(root, second)


# With a command that restarts the service.


def test_a_command_restarts_the_service(
    root: Path, two: Path, first: str, second: str, tmp_path: Path
) -> None:
    """Here `kill`, and a supervisor that starts it again; and one that fails."""
    with running(root, "--threads", 1, supervised=True) as service:
        before = service.status()
        script = tmp_path / "restart"
        script.write_text(f'#!/bin/sh\nkill -TERM "$(cat {tmp_path}/pid)"\n')
        script.chmod(0o755)
        (tmp_path / "pid").write_text(str(before.pid))
        assert put(two, root, Watch(seconds=0.2, restart=(str(script),))).release.name == second
        after = service.status()
        assert after.instance != before.instance
        assert after.release == second
        (tmp_path / "pid").write_text(str(after.pid))
        release = rollback_with_service(root, watch=Watch(restart=(str(script),)))
        assert release.name == service.status().release == first


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("sh", "-c", "echo it is masked >&2; exit 5"), "ended with status 5 (it is masked)"),
        (("no-such-program",), "`no-such-program` cannot be run"),
        (("true",), "did not come up within 0.2 s: nobody listens"),
    ],
)
def test_a_command_that_does_not_help_is_gone_back_from(
    root: Path, two: Path, first: str, command: tuple[str, ...], message: str
) -> None:
    said = reason(lambda: put(two, root, Watch(restart=command, start_seconds=0.2)))
    assert message in said
    assert f"release {first} is current again" in said
    settled(root, first)


def test_a_first_deploy_that_fails_has_nothing_to_go_back_to(tmp_path: Path, one: Path, first: str) -> None:
    root = tmp_path / "device"
    said = reason(lambda: put(one, root, Watch(restart=("false",))))
    assert said.endswith(f"there is no earlier release to go back to: release {first} stays on trial")
    assert resolve(root).name == first


# Without a service.


def test_without_a_service_it_is_a_plain_deploy(root: Path, two: Path, second: str) -> None:
    assert put(two, root).release.name == second
    settled(root, second)
    assert put(two, root, Watch(wanted=False, restart=("false",))).release.name == second


def test_a_service_that_must_run_and_does_not_is_refused_before_anything_is_done(
    root: Path, two: Path, first: str
) -> None:
    words = ["deploy", str(two), str(root), "--service"]
    refused = CliRunner().invoke(cli.app, words).exception
    assert isinstance(refused, EdgevoiceError)
    assert f"start it with `edgevoice serve {root}`" in str(refused)
    assert [release.name for release in releases(root)] == [first]
    refused = CliRunner().invoke(cli.app, [*words, "--restart", "systemctl 'restart"]).exception
    assert "is no command" in str(refused)


def test_what_fails_before_the_switch_is_told_as_it_is(root: Path, one: Path, two: Path, first: str) -> None:
    def fail(*_: object) -> Any:
        raise EdgevoiceError("the self-test heard nothing")

    run: Callable[[], Any] = lambda: deploy_with_service(  # noqa: E731
        two, root, watch=Watch(restart=("false",)), self_test=fail
    )
    assert reason(run) == "the self-test heard nothing"
    settled(root, first)
