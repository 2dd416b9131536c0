"""The units that the README shows are ones that systemd takes, and none runs as root."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def units() -> dict[str, str]:
    (block,) = (
        text
        for text in re.findall(r"```text\n(.*?)```", README.read_text("utf-8"), re.S)
        if "[Timer]" in text
    )
    parts = re.split(r"^# /etc/systemd/system/(\S+)\n", block, flags=re.M)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_the_timer_starts_the_service_as_its_owner() -> None:
    found = units()
    assert set(found) == {"edgevoice-update.service", "edgevoice-update.timer"}
    (user,) = re.findall(r"^User=(.+)$", found["edgevoice-update.service"], re.M)
    assert user != "root"
    assert "edgevoice update " in found["edgevoice-update.service"]


def test_systemd_takes_them(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    for name, text in units().items():
        (tmp_path / name).write_text(text.replace("/opt/voice/bin/edgevoice", "/bin/true"))
    command = ["systemd-analyze", "verify", "--man=no", *map(str, tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    said = [line for line in done.stderr.splitlines() if "edgevoice-update" in line]
    assert not said, done.stderr
