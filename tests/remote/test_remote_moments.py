"""SIGKILL of either side at any step: a whole release speaks, and the next deploy goes on."""

from __future__ import annotations

import getpass
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploy.deploy_bundles import name_of
from remote import killer
from remote.conftest import copy
from remote.sshd import Server

from edgevoice import bundle
from edgevoice.deploy.layout import resolve
from edgevoice.errors import EdgevoiceError
from edgevoice.remote.deploy import Options, deploy
from edgevoice.remote.ssh import Ssh

pytestmark = pytest.mark.timeout(900)  # dozens of sessions each

HERE = Path(__file__).parent

MOMENTS = 16


@dataclass(frozen=True)
class Stage:
    """Where the moments are tried: copies of ``begin``, in which the old release speaks."""

    server: Server
    kit: Path
    begin: Path
    scratch: Path

    def copy(self, name: str) -> Path:
        return copy(self.begin, self.scratch / name)

    def killer(self, at: int, event: str = "") -> str:
        return killer.make(self.scratch, self.server.python, at, event)

    def deploy(self, root: Path, python: str, new: Path) -> str:
        """What a deploy by that interpreter says; empty if it goes through."""
        known = Ssh(self.server.options, self.server.port, python or self.server.python)
        try:
            deploy(new, self.server.host(root), known, Options(kit=str(self.kit)))
        except EdgevoiceError as error:
            return str(error)
        return ""


@pytest.fixture
def stage(server: Server, kit: Path, first: tuple[Path, object], scratch: Path) -> Stage:
    return Stage(server, kit, first[0], scratch)


def speaks(root: Path) -> str:
    place = resolve(root)
    bundle.read(place)
    return place.name


def test_the_device_is_killed_at_any_step(stage: Stage, old: Path, new: Path) -> None:
    assert stage.deploy(stage.copy("whole"), stage.killer(0), new) == ""
    steps = int((stage.scratch / "count").read_text())
    assert steps >= MOMENTS
    spoke = []
    for number in range(MOMENTS):
        at = 1 + number * (steps - 1) // (MOMENTS - 1)
        root = stage.copy(f"root{at}")
        said = stage.deploy(root, once(stage.killer(at)), new)
        spoke.append(speaks(root))
        assert spoke[-1] in (name_of(old), name_of(new)), at
        assert says(said, old, new) == spoke[-1], (at, said)
        if number % 5 == 0:
            assert stage.deploy(root, "", new) == "", at
            assert speaks(root) == name_of(new)
            assert not (root / "arriving").exists()
    assert set(spoke) == {name_of(old), name_of(new)}


def says(said: str, old: Path, new: Path) -> str:
    """The release that speaks according to the command."""
    if not said:
        return name_of(new)
    if "nothing was changed there" in said:  # the session ended before the agent answered
        return name_of(old)
    return next(name for name in (name_of(old), name_of(new)) if f"release {name}" in said)


def once(interpreter: str) -> str:
    """An interpreter for the first session; the next one gets the true one, which the shebang names."""
    python = Path(interpreter).read_text().split()[0].removeprefix("#!")
    place = Path(f"{interpreter}-once")
    place.write_text(
        f'#!/bin/sh\nmkdir "$0.used" 2>/dev/null && exec {interpreter} "$@"\nexec {python} "$@"\n'
    )
    place.chmod(0o755)
    return str(place)


def test_the_device_is_killed_while_a_runtime_is_made(stage: Stage, new: Path) -> None:
    """Before pip, and before what it installed is tried: the next deploy makes a whole runtime."""
    root = stage.scratch / "root"
    for program in (3, 4):
        said = stage.deploy(root, once(stage.killer(program, "subprocess.Popen")), new)
        assert "no release is installed there yet" in said
        assert not list(root.glob("runtimes/*/complete"))
    assert stage.deploy(root, "", new) == ""
    assert speaks(root) == name_of(new)


def test_the_workstation_is_killed_at_every_write(stage: Stage, old: Path, new: Path) -> None:
    moments = [{"at": at, "again": at % 4 == 0, "root": str(stage.copy(f"root{at}"))} for at in range(1, 13)]
    job = {
        "bundle": str(new),
        "kit": str(stage.kit),
        "address": f"{getpass.getuser()}@127.0.0.1",
        "options": stage.server.options,
        "port": stage.server.port,
        "python": stage.server.python,
        "moments": moments,
    }
    (stage.scratch / "job.json").write_text(json.dumps(job))
    ran = subprocess.run(
        [sys.executable, str(HERE / "client_moments.py"), str(stage.scratch / "job.json")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(ran.stdout)
    for row in rows:
        assert row["status"] == signal.SIGKILL, row
        assert row["spoke"] == name_of(old), row
    again = [row for row in rows if row["again"]]
    assert {row["ends"] for row in again} == {name_of(new)}
    # How much had arrived is chance: ssh itself ends as soon as nobody reads from it.
    assert all(0 < row["sent"] <= 40_000 + (new / "manifest.json").stat().st_size for row in again)
