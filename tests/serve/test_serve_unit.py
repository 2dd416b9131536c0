"""The systemd unit: what it says, whether systemd takes it, and what cannot be a service."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from serve.running import LIMIT_SECONDS, content, reason

from edgevoice.deploy.local import deploy
from edgevoice.serve import place, reach, unit
from edgevoice.serve.unit import Wanted

ROOT = pwd.getpwuid(0).pw_name
MEBI = 1 << 20

analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")


@pytest.fixture(autouse=True)
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' folders, and maybe this Python, lie where no service should."""
    monkeypatch.setattr(unit, "EMPTIED", ())


def made(root: Path, version: int = 252, **wanted: object) -> str:
    return unit.make(Wanted(root, **{"user": ROOT, **wanted}), lambda _: None, version)  # type: ignore[arg-type]


def value(text: str, key: str) -> str:
    (found,) = re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)
    return str(found)


def test_it_says_what_is_run_and_with_how_much(root: Path) -> None:
    text = made(root, threads=2, group=pwd_group())
    assert value(text, "ExecStart").endswith(f" -m edgevoice serve {root} --group {pwd_group()} --threads 2")
    assert value(text, "RuntimeDirectory") == place.runtime_name(root)
    assert value(text, "User") == ROOT
    assert "DynamicUser" not in text
    limit = int(value(text, "MemoryMax").rstrip("M"))
    plan = int(re.findall(r"speaks now, (\d+) MiB", text)[0])
    assert 2 * plan + 64 <= limit <= 2 * plan + 80


def test_a_voice_for_a_gpu_reaches_its_devices(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert value(made(root), "PrivateDevices") == "yes"
    monkeypatch.setattr(unit.choice, "for_gpu", lambda _: True)
    assert value(made(root), "PrivateDevices") == "no"


def test_the_pause_between_restarts_grows_where_systemd_can(root: Path) -> None:
    assert value(made(root, version=252), "RestartSec") == "5"
    text = made(root, version=254)
    assert (value(text, "RestartSec"), value(text, "RestartMaxDelaySec")) == ("1", "60")


def test_what_was_deployed_with_the_voice_runs_it(root: Path) -> None:
    (root / "bin").mkdir()
    (root / "bin" / "edgevoice").write_text("#!/bin/sh\n")
    (root / "bin" / "edgevoice").chmod(0o755)
    assert value(made(root), "ExecStart").startswith(f"{root}/bin/edgevoice serve {root}")


def test_the_owner_of_the_folder_is_heard(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who deploys over SSH is no root, and the socket is closed to all but the service's user and group."""
    monkeypatch.setattr(reach, "closed_to", lambda *_: None)
    if os.geteuid() == 0:
        assert "Group=" not in made(root, user=None)
        entry = pwd.getpwnam("nobody")
        os.chown(root, entry.pw_uid, entry.pw_gid)
    owner = reach.owner(root)
    assert owner is not None
    text = made(root, user=ROOT)
    assert value(text, "Group") == owner.group
    assert f" --group {owner.group}" in value(text, "ExecStart")
    assert "Group=" not in made(root, user=owner.name)
    assert value(made(root, group=pwd_group()), "Group") == pwd_group()


@pytest.mark.parametrize(
    "name", ["plain", "with space", "100 % $HOME", 'a "quoted" one', "back\\slash", "émile"]
)
@analyze
def test_systemd_takes_it(one: Path, tmp_path: Path, name: str) -> None:
    deploy(one, tmp_path / name, self_test=content)
    file = tmp_path / "edgevoice.service"
    file.write_text(made(tmp_path / name), "utf-8")
    assert verify(file) == ""


@analyze
def test_systemd_calls_it_safe(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reach, "closed_to", lambda *_: None)
    file = tmp_path / "edgevoice.service"
    unit.write(Wanted(root, group=pwd_group()), file, lambda _: None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "edgevoice.service"]
    assert value(file.read_text(), "DynamicUser") == "yes"
    assert verify(file) == ""
    ran = run("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", str(file))
    assert ran.returncode == 0, ran.stdout  # 2.0 of 10; systemd calls what is above 1 no more than OK
    assert "Overall exposure level" in ran.stdout


def pwd_group() -> str:
    import grp

    return grp.getgrgid(os.getgid()).gr_name


def verify(file: Path) -> str:
    ran = run("systemd-analyze", "verify", str(file))
    return ran.stdout + ran.stderr + ("" if ran.returncode == 0 else f"status {ran.returncode}")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_SECONDS, stdin=subprocess.DEVNULL
    )


# What cannot be a service.


def test_a_folder_that_is_emptied_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "EMPTIED", (str(root.parent),))
    assert "which is emptied: deploy to a lasting folder" in reason(lambda: made(root))


def test_a_folder_in_a_home_is_noted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    monkeypatch.setattr(unit, "HOMES", (str(root.parent),))
    text = unit.make(Wanted(root, ROOT), notes.append, 252)
    assert value(text, "ProtectHome") == "read-only"
    assert "lies in a home" in notes[-1]


def test_a_user_who_cannot_reach_the_folder_is_refused(root: Path) -> None:
    root.parent.chmod(0o700)
    nobody = reach.Person("anna", 4711, frozenset())
    assert reach.closed_to(root, reach.Person("root", 0, frozenset())) is None
    assert reach.closed_to(root, reach.Person("me", os.getuid(), frozenset())) is None
    assert reach.closed_to(root, nobody) in (root.parent, *root.parents)
    assert "for its owner" not in reason(lambda: made(root, user=None))
    assert "is closed to it: open that with chmod" in reason(lambda: made(root, user=None))


def test_a_group_may_open_what_is_closed_to_others(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir(mode=0o710)
    inside.chmod(0o710)
    group = inside.stat().st_gid
    assert reach._may(inside, reach.Person("anna", 4711, frozenset({group})), 0o1)
    assert not reach._may(inside, reach.Person("anna", 4711, frozenset({group + 1})), 0o1)


def test_names_that_are_not_there(root: Path, tmp_path: Path) -> None:
    assert "there is no user 'no-such-user'" in reason(lambda: made(root, user="no-such-user"))
    assert "there is no group 'no-such-group'" in reason(lambda: made(root, group="no-such-group"))
    assert "no deployed folder" in reason(lambda: made(tmp_path / "nothing"))
    odd = root.rename(tmp_path / "new\nline")
    assert "characters that a unit cannot hold" in reason(lambda: made(odd))


def test_a_file_that_cannot_be_written_is_one_line(root: Path, tmp_path: Path) -> None:
    output = tmp_path / "none" / "edgevoice.service"
    assert "cannot write" in reason(lambda: unit.write(Wanted(root, ROOT), output, lambda _: None))
    (tmp_path / "folder").mkdir()
    assert "cannot write" in reason(
        lambda: unit.write(Wanted(root, ROOT), tmp_path / "folder", lambda _: None)
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["device", "folder"]
