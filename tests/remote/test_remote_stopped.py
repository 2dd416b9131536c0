"""A deploy that its user stops, or whose line is lost while both sides live: the command says what speaks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.deploy_bundles import make, name_of
from remote.conftest import Device
from serve.running import LIMIT_SECONDS, MAIN, PLAIN, until

CODE = f"{PLAIN}signal.signal(signal.SIGINT, signal.default_int_handler)\n{MAIN}"


@contextmanager
def deploying(device: Device, bundle: Path, folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command, in a session of its own, which is gone afterwards."""
    command = [sys.executable, "-c", CODE, "deploy", str(bundle), *device.server.words(device.root)]
    with open(folder / "said", "w+") as said:
        process = subprocess.Popen(
            [*command, "--kit", str(device.kit), *words],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(LIMIT_SECONDS)
            (device.root / "go").touch()


def ended(process: subprocess.Popen[str], folder: Path) -> tuple[int, str]:
    return process.wait(LIMIT_SECONDS), (folder / "said").read_text()


def arrived(device: Device) -> bool:
    return any(path.stat().st_size for path in device.root.glob("arriving/objects/*.part"))


def is_staged(device: Device, bundle: Path) -> bool:
    return (device.root / "staging" / name_of(bundle) / "manifest.json").exists()


def ssh_of(process: subprocess.Popen[str]) -> int:
    """The newest ssh below the command; 0 if none runs."""
    for entry in sorted(Path("/proc").glob("[0-9]*/stat"), key=lambda path: -int(path.parent.name)):
        with suppress(OSError):
            name, _, rest = entry.read_text().partition("(")[2].rpartition(")")
            if name == "ssh" and int(rest.split()[1]) == process.pid:
                return int(entry.parent.name)
    return 0


def test_an_interrupted_transfer_says_that_the_old_voice_speaks(
    device: Device, old: Path, new: Path, tmp_path: Path
) -> None:
    with deploying(device, new, tmp_path, "--limit-rate", "1k") as process:
        until(lambda: arrived(device), "the first piece")
        process.send_signal(signal.SIGINT)
        status, said = ended(process, tmp_path)
    assert status == 130
    assert f"release {name_of(old)} still speaks there; what has arrived stays" in said
    assert "Traceback" not in said
    assert device.deploy(new).sent_bytes < 40_000 + (new / "manifest.json").stat().st_size
    assert device.speaks() == name_of(new)


def test_a_device_that_installs_goes_on_by_itself(device: Device, old: Path, tmp_path: Path) -> None:
    slow = make(tmp_path, "slow", vocoder=4)
    with deploying(device, slow, tmp_path) as process:
        until(lambda: is_staged(device, slow), "the release")
        process.send_signal(signal.SIGTERM)
        status, said = ended(process, tmp_path)
        assert status == 128 + signal.SIGTERM
        assert "the deploy goes on there by itself: ask `edgevoice status" in said
        assert device.speaks() == name_of(old)
    until(lambda: device.speaks() == name_of(slow), "the new release")


def test_a_line_that_is_lost_is_not_a_deploy_that_is_lost(device: Device, old: Path, tmp_path: Path) -> None:
    """The command asks anew over another line, and waits for the deploy that goes on there."""
    slow = make(tmp_path, "slow", vocoder=4)
    with deploying(device, slow, tmp_path) as process:
        until(lambda: is_staged(device, slow), "the release")
        line = ssh_of(process)
        os.kill(line, signal.SIGKILL)
        until(lambda: ssh_of(process) not in (0, line), "another line")
        (device.root / "go").touch()
        status, said = ended(process, tmp_path)
    assert status == 2
    assert f"was lost; but the new release {name_of(slow)} speaks there" in said
    assert device.speaks() == name_of(slow)
