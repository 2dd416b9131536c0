"""Every problem at once, each with its mend."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from deploy.deploy_bundles import make

from edgevoice import bundle
from edgevoice.kit import install
from edgevoice.remote import preflight
from edgevoice.remote.agent import facts
from edgevoice.remote.preflight import Facts, Finding, judge
from targets import load

NOW = 1_760_000_000.0

# Written after documented formats, not recorded on a board.
ORIN: dict[str, Any] = {
    "python": [3, 10, 12],
    "executable": "/usr/bin/python3",
    "venv": True,
    "machine": "aarch64",
    "bits": 64,
    "glibc": "2.35",
    "system": "Ubuntu 22.04.4 LTS",
    "user": "kiosk",
    "board": "NVIDIA Jetson Orin Nano Developer Kit",
    "tegra": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
    "cards": [],
    "jetpack": "6.2+b77",
    "tensorrt": "10.3.0.30-1+cuda12.5",
    "cuda": "12.6.11",
    "memory": {"total": 8 << 30, "available": 6 << 30},
    "disk": {
        "path": "/opt",
        "free": 20 << 30,
        "inodes": 900_000,
        "read_only": False,
        "writable": True,
        "no_exec": False,
    },
    "clock": NOW,
    "audio": ["tegra-hda - NVIDIA Jetson Orin Nano HDA"],
    "root": {
        "path": "/opt/voice",
        "exists": False,
        "folder": False,
        "foreign": False,
        "current": "",
        "runtimes": [],
        "launcher": False,
        "busy": False,
    },
}


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    """With a file for TensorRT, as for a board it should have."""
    plain = bundle.read(make(tmp_path_factory.mktemp("voice"), "voice"))
    stage = plain.manifest.stages["vocoder"]
    half = msgspec.structs.replace(stage.speaks, engine="tensorrt", precision="fp16")
    both = msgspec.structs.replace(stage, variants=[stage.speaks, half])
    stages = {**plain.manifest.stages, "vocoder": both}
    return replace(plain, manifest=msgspec.structs.replace(plain.manifest, stages=stages))


def judged(
    voice: bundle.Bundle, target: str = "orin_nano_8gb", missing: int = 0, **changes: Any
) -> list[Finding]:
    raw = {
        **ORIN,
        **{
            key: {**ORIN[key], **value} if isinstance(value, dict) else value
            for key, value in changes.items()
        },
    }
    return judge(msgspec.convert(raw, Facts), voice.manifest, load(target), missing, NOW)


def test_a_board_as_it_should_be(voice: bundle.Bundle) -> None:
    assert judged(voice) == []


@pytest.mark.parametrize(
    ("changes", "what", "mend"),
    [
        ({"python": [3, 8, 10]}, "Python 3.8.10 is none of", "JetPack 6.1 or newer"),
        ({"python": [3, 15, 0]}, "Python 3.15.0 is none of", "--python"),
        ({"venv": False}, "no module venv", "python3-venv"),
        ({"machine": "armv7l", "bits": 32}, "armv7l with 32 bits", "64 bits"),
        ({"glibc": "2.16"}, "C library is 2.16", "2.17 or newer"),
        ({"glibc": ""}, "C library is not GNU", "2.17 or newer"),
        ({"root": {"exists": True}}, "/opt/voice is a file", "name a folder"),
        ({"root": {"exists": True, "folder": True, "foreign": True}}, "holds other things", "empty or new"),
        ({"disk": {"read_only": True}}, "mounted read-only", "mount it writable"),
        ({"disk": {"writable": False}}, "kiosk may not write to /opt", "sudo install -d -o kiosk /opt/voice"),
        ({"disk": {"no_exec": True}}, "runs no programs", "another folder"),
        ({"disk": {"free": 100_000_000}}, "100 MB free and needs about 500 MB", "free 400 MB"),
        ({"disk": {"inodes": 100}}, "100 inodes left", "remove files"),
        ({"memory": {"available": 50 << 20}}, "", "free memory there"),
        ({"tegra": "# R35 (release), REVISION: 4.1, GCID: 1"}, "too old", "newer JetPack"),
    ],
)
def test_a_problem_and_its_mend(voice: bundle.Bundle, changes: dict[str, Any], what: str, mend: str) -> None:
    (found,) = judged(voice, **changes)
    assert found.fatal
    assert what in found.what
    assert mend in found.mend


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"tensorrt": ""}, "no TensorRT"),
        ({"clock": NOW - 10 * 86_400}, "10 days behind"),
        ({"clock": NOW + 3 * 86_400}, "3 days ahead"),
        ({"audio": []}, "no sound card"),
        ({"board": "NVIDIA Jetson AGX Orin Developer Kit", "memory": {"total": 64 << 30}}, "AGX Orin"),
    ],
)
def test_what_the_user_should_know(voice: bundle.Bundle, changes: dict[str, Any], what: str) -> None:
    (found,) = judged(voice, **changes)
    assert not found.fatal
    assert what in found.what


def test_fp32_alone_leaves_the_gpu_idle_unless_it_is_asked_for(tmp_path: Path) -> None:
    plain = bundle.read(make(tmp_path, "plain")).manifest
    facts, target = msgspec.convert(ORIN, Facts), load("orin_nano_8gb")
    (found,) = judge(facts, plain, target, 0, NOW)
    assert (found.what, found.fatal) == ("its GPU stays idle", False)
    assert judge(facts, plain, target, 0, NOW, "tensorrt") == []


def test_all_problems_come_at_once(voice: bundle.Bundle) -> None:
    found = judged(voice, python=[3, 8, 1], venv=False, disk={"free": 0, "no_exec": True}, audio=[])
    error = preflight.Unfit("kiosk@orin:/opt/voice", found)
    assert str(error).startswith("kiosk@orin:/opt/voice has 4 problems: Python 3.8.1")
    assert str(error).endswith("; nothing was sent")
    assert len(error.details["findings"]) == 5


def test_room_for_the_runtime_is_asked_once(voice: bundle.Bundle) -> None:
    later = {"runtimes": ["0" * 16]}
    assert judged(voice, disk={"free": 50_000_000}, missing=20_000_000, root=later) == []
    (found,) = judged(voice, disk={"free": 50_000_000}, missing=30_000_000, root=later)
    assert "needs about 61 MB" in found.what


def test_this_machine_describes_itself(tmp_path: Path) -> None:
    root = tmp_path / "deep/down/voice"
    read = msgspec.convert(facts.read(root), Facts)
    assert read.disk.path == str(tmp_path)
    assert (read.root.exists, read.root.foreign, read.root.runtimes) == (False, False, [])
    assert read.memory.total > read.memory.available > 0
    assert abs(read.clock - time.time()) < 3600
    assert read.glibc == install.glibc()
    assert dict(preflight.describe(read))["speaks"] == "nothing yet"
    assert not root.parent.exists()
