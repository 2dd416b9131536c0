"""The real kit: made from the package index, installed without one, and a voice speaks through it."""

from __future__ import annotations

import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
import soundfile
from remote import fake_kit, sshd

from edgevoice import bundle
from edgevoice.kit import install, make, wheel
from edgevoice.remote import inspect
from edgevoice.remote.deploy import Options, deploy
from tests.project.conftest import checked

pytestmark = [pytest.mark.packaging, pytest.mark.timeout(900)]


def test_the_own_wheel_is_what_the_build_makes(wheel_built: Path, tmp_path: Path) -> None:
    own = wheel.make(tmp_path)
    assert own.name == wheel_built.name
    with zipfile.ZipFile(own) as ours, zipfile.ZipFile(wheel_built) as theirs:
        assert set(ours.namelist()) == set(theirs.namelist())
        for name in ours.namelist():
            if ".dist-info/" not in name or name.endswith("entry_points.txt"):
                assert ours.read(name) == theirs.read(name), name
        metadata = [
            archive.read(name).decode()
            for archive in (ours, theirs)
            for name in archive.namelist()
            if name.endswith("METADATA")
        ]
    assert requires(metadata[0]) == requires(metadata[1])


def requires(metadata: str) -> list[str]:
    return Parser().parsestr(metadata).get_all("Requires-Dist") or []


@pytest.fixture
def wheel_built(wheel: Path) -> Path:
    return wheel


def test_a_voice_speaks_on_a_device_that_has_nothing(lexicon_bundle: Path, tmp_path: Path) -> None:
    kit = make.make(tmp_path / "kit", fake_kit.device())
    assert {name.split("-")[0] for name in kit.wheels} >= {
        "edgevoice",
        "numpy",
        "onnxruntime",
        "pip",
        "typer",
    }
    root = tmp_path / "device"
    with sshd.serve(tmp_path / "sshd", fake_kit.base_python()) as server:
        options = Options(kit=str(kit.path), arguments=["--keep", "2"])
        done = deploy(lexicon_bundle, server.host(root), server.ssh(), options)
        assert done.device["report"]["problems"] == []
        assert done.device["report"]["sound_seconds"] > 0.5
        assert f"speaks    {done.release}" in inspect.run(server.host(root), server.ssh(), "status")
        again = deploy(lexicon_bundle, server.host(root), server.ssh(), options)
    assert (again.sent_bytes, again.runtime) == (0, kit.runtime)
    pinned = make.make(tmp_path / "again", kit.device, lock=kit.path)
    assert (pinned.runtime, pinned.wheels) == (kit.runtime, kit.wheels)
    assert "Usage: edgevoice deploy" in checked(str(root / "bin/edgevoice"), "deploy", "--help")
    words = ("say", "--voice", str(root), "Hello there, it is 7:45.", "-o", str(tmp_path / "hello.wav"))
    checked(str(root / "bin/edgevoice"), *words)
    sound, rate = soundfile.read(tmp_path / "hello.wav")
    assert rate == bundle.read(lexicon_bundle).manifest.voice.sample_rate
    assert abs(sound).max() > 0.01
    assert install.current_home(root).name == kit.runtime
