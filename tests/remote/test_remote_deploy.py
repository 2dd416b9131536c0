"""Deploy to a device over a real SSH server: what is sent, what speaks, what goes back, what is refused."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deploy.deploy_bundles import make, name_of
from remote.conftest import Device
from remote.fake_kit import NAME, make_kit
from remote.sshd import Server
from signing.signing_keys import make_key, public_of, signed

from edgevoice.errors import EdgevoiceError
from edgevoice.kit import install
from edgevoice.remote import inspect
from edgevoice.remote.deploy import Options, Outcome
from edgevoice.remote.preflight import Unfit
from edgevoice.remote.ssh import Session
from edgevoice.signing.trust import trust

SMALL_TARGET = """\
id = "tiny"
name = "a device with hardly any memory"
kind = "cpu"
engine = "onnxruntime"
precisions = ["fp32"]
shared_memory = true
budget_mib = 1
"""


def command(*words: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("edgevoice")
    quiet = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    return subprocess.run([program, *words], timeout=300, **quiet)  # type: ignore[call-overload,no-any-return]


def test_a_first_deploy_sends_all_and_speaks(first: tuple[Path, Outcome], old: Path) -> None:
    root, done = first
    assert set(done.sent) >= {"manifest.json", "vocoder.fp32.onnx", "text.json", NAME, install.LOCK}
    assert done.sent_bytes > 120_002
    assert done.release == name_of(old) == (root / "current").resolve().name
    assert done.device["copied_bytes"] == 120_002
    assert (root / "runtime").resolve().name == done.runtime
    assert not (root / "arriving").exists()


def test_a_second_deploy_sends_nothing(device: Device, old: Path) -> None:
    done = device.deploy(old)
    assert (done.sent_bytes, done.sent) == (0, [])
    assert device.speaks() == name_of(old)


def test_only_a_changed_stage_and_the_manifest_are_sent(device: Device, old: Path, new: Path) -> None:
    done = device.deploy(new)
    assert set(done.sent) == {"vocoder.fp32.onnx", "manifest.json"}
    assert done.sent_bytes == 40_000 + (new / "manifest.json").stat().st_size
    assert device.speaks() == name_of(new)
    inspect.run(device.server.host(device.root), device.server.ssh(), "rollback")
    assert device.speaks() == name_of(old)


def test_release_and_runtime_change_places_together(device: Device, new: Path, tmp_path: Path) -> None:
    before = launched(device)
    later = make_kit(tmp_path / "kit", mark="later")
    done = device.deploy(new, Options(kit=str(later)))
    assert set(done.sent) == {"vocoder.fp32.onnx", "manifest.json", NAME, install.LOCK}  # pip was there
    assert launched(device) == done.runtime != before
    inspect.run(device.server.host(device.root), device.server.ssh(), "rollback")
    assert launched(device) == before
    device.deploy(
        new, Options(keep_runtime=True)
    )  # what spoke with the later one is heard with the earlier one
    assert launched(device) == before
    assert {path.name for path in (device.root / "runtimes").iterdir()} == {before, "for"}


def launched(device: Device) -> str:
    """The runtime that the launcher takes, seen in what it runs."""
    script = (device.root / "bin/edgevoice").read_text().replace('exec "$home/bin/python"', 'echo "$home" #')
    probe = device.root / "bin/probe"
    probe.write_text(script)
    done = subprocess.run(["sh", str(probe)], capture_output=True, text=True, timeout=60, check=True)
    return Path(done.stdout.strip()).name


def test_the_command_line_speaks_json_and_words(device: Device, old: Path, new: Path) -> None:
    words = device.server.words(device.root)
    done = command("deploy", str(new), *words, "--kit", str(device.kit), "--json")
    answer = json.loads(done.stdout)
    assert (answer["release"], sorted(answer["sent"])) == (
        name_of(new),
        ["manifest.json", "vocoder.fp32.onnx"],
    )
    assert answer["device"]["copied_bytes"] == 40_000
    rows = json.loads(command("releases", *words, "--json").stdout)
    assert [row["name"] for row in rows] == [name_of(new), name_of(old)]
    assert "nothing was sent" in command("deploy", str(new), *words, "--kit", str(device.kit)).stdout
    assert json.loads(command("status", *words).stdout)["current"]["name"] == name_of(new)


def test_a_failure_is_one_line_and_one_json_document(device: Device) -> None:
    done = command("rollback", *device.server.words(device.root), "--json")
    assert done.returncode == 2
    assert "no earlier release" in json.loads(done.stdout)["error"]
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_dry_run_changes_nothing(empty: Device, device: Device, new: Path) -> None:
    looked = empty.deploy(new, dry_run=True)
    assert looked.facts.root.exists is False
    assert len(looked.sent) == 5
    assert not empty.root.exists()
    assert device.deploy(new, dry_run=True).sent == ["vocoder.fp32.onnx", "manifest.json"]
    assert not (device.root / "arriving").exists()


@pytest.mark.parametrize(("left", "sent"), [(1.0, 0.5), (-1.0, 1.5)], ids=["whole", "altered"])
def test_an_interrupted_transfer_goes_on(device: Device, new: Path, left: float, sent: float) -> None:
    """Half of a file has arrived; where that half is not what it should be, all of it is sent again."""
    data = (new / "vocoder.fp32.onnx").read_bytes()
    half = data[:20_000] if left > 0 else bytes(20_000)
    sha256 = install.sha256(new / "vocoder.fp32.onnx")
    with Session(device.server.host(device.root), device.server.ssh()) as session:
        session.ask("begin", root=str(device.root), wanted=[sha256])
        session.send("put", half, sha256=sha256, offset=0)
        session.receive()
    done = device.deploy(new)
    assert done.sent_bytes == 40_000 * sent + (new / "manifest.json").stat().st_size
    assert device.speaks() == name_of(new)


def test_another_deploy_is_not_disturbed(device: Device, old: Path, new: Path) -> None:
    held = os.open(device.root / install.SESSION, os.O_RDWR)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(EdgevoiceError, match=r"another deploy into .* is running.*still speaks there"):
            device.deploy(new)
    finally:
        os.close(held)
    assert device.speaks() == name_of(old)


class TestTheOldVoiceStays:
    @pytest.fixture(autouse=True)
    def _stays(self, device: Device, old: Path) -> object:
        yield
        assert device.speaks() == name_of(old)

    def test_when_the_self_test_fails(self, device: Device, old: Path, work: Path) -> None:
        mute = work / "mute"
        if not mute.exists():
            make(work, "mute", encoder=7)
        with pytest.raises(EdgevoiceError, match=f"nearly silent; release {name_of(old)} still speaks"):
            device.deploy(mute)
        assert name_of(mute) not in os.listdir(device.root / "releases")

    def test_when_the_bundle_is_over_the_budget(self, device: Device, new: Path, tmp_path: Path) -> None:
        target = tmp_path / "tiny.toml"
        target.write_text(SMALL_TARGET)
        with pytest.raises(Unfit, match=r"1 problem: .*budget.*nothing was sent"):
            device.deploy(new, Options(str(target), str(device.kit)))

    def test_when_the_kit_is_for_another_device(self, device: Device, new: Path, tmp_path: Path) -> None:
        other = make_kit(tmp_path / "kit")
        lock = json.loads((other / install.LOCK).read_text())
        (other / install.LOCK).write_text(json.dumps({**lock, "machine": "aarch64", "python": "3.10"}))
        with pytest.raises(Unfit, match=r"the kit is for Python 3\.10 on aarch64"):
            device.deploy(new, Options(kit=str(other)))

    @pytest.mark.parametrize("file", ["vocoder.fp32.onnx", "manifest.json", "text.json"])
    def test_when_a_byte_of_the_bundle_differs(self, device: Device, tmp_path: Path, file: str) -> None:
        altered = make(tmp_path, "altered", vocoder=2)
        flip(altered / file)
        with pytest.raises(EdgevoiceError, match=r"checksum|changed"):
            device.deploy(altered)

    @pytest.mark.parametrize("file", [NAME, install.LOCK])
    def test_when_a_byte_of_the_kit_differs(
        self, device: Device, new: Path, tmp_path: Path, file: str
    ) -> None:
        altered = make_kit(tmp_path / "kit")
        flip(altered / file)
        with pytest.raises(EdgevoiceError, match="kit"):
            device.deploy(new, Options(kit=str(altered)))


def test_a_device_with_a_key_takes_what_that_key_has_signed(device: Device, tmp_path: Path) -> None:
    own, stranger = make_key(tmp_path / "own"), make_key(tmp_path / "stranger")
    device.deploy(signed(tmp_path, "speaks", own, 1))
    trust(device.root, public_of(own))
    speaks = device.speaks()
    altered = signed(tmp_path, "altered", own, 2, vocoder=1)
    flip(altered / "manifest.json.sig")
    refused = {
        "is not signed": make(tmp_path, "unsigned", size=4000, vocoder=2),
        "does not trust": signed(tmp_path, "strange", stranger, 2, vocoder=3),
        "was altered after it was signed|is no Ed25519 signature": altered,
        "has serial 0|has no serial": signed(tmp_path, "older", own, vocoder=4),
    }
    for message, bundle in refused.items():
        with pytest.raises(
            EdgevoiceError, match=f": the bundle .*({message}).*; release {speaks} still speaks"
        ):
            device.deploy(bundle)
        assert device.speaks() == speaks
    newer = signed(tmp_path, "newer", own, 2, vocoder=5)
    assert set(device.deploy(newer).sent) == {"vocoder.fp32.onnx", "manifest.json", "manifest.json.sig"}
    assert device.speaks() == name_of(newer)


@pytest.mark.parametrize("file", ["encoder.fp32.onnx", "manifest.json"])
def test_what_rots_on_the_device_is_sent_again(device: Device, old: Path, file: str) -> None:
    place = device.root / "releases" / name_of(old) / file
    rotten = flipped(place.read_bytes())
    place.unlink()
    place.write_bytes(rotten)
    done = device.deploy(old)
    assert file in done.sent
    assert place.read_bytes() == (old / file).read_bytes()


def flip(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(flipped(path.read_bytes()))


def flipped(data: bytes) -> bytes:
    """One byte differs; in a list of checksums it is a digit of one, so that JSON stays JSON."""
    found = re.search(rb'"sha256": *"[0-9a-f]*?([0-8])', data)
    at = found.start(1) if found else len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class TestTheServerIsNotAsItShouldBe:
    def refused(self, server: Server, bundle: Path, root: Path, message: str) -> None:
        with pytest.raises(EdgevoiceError, match=message):
            Device(root, server, Path()).deploy(bundle, Options(keep_runtime=True))
        assert not root.exists()

    def test_another_host_key(
        self, another_server: Callable[[str], Server], new: Path, tmp_path: Path
    ) -> None:
        server = another_server("")
        known = (server.home / "known_hosts").read_text().split()
        key = (server.home / "user_key.pub").read_text().split()[1]
        (server.home / "known_hosts").write_text(f"{known[0]} {known[1]} {key}\n")
        self.refused(server, new, tmp_path / "root", "host key is not the one you know.*nothing was changed")
        (server.home / "known_hosts").write_text("")
        self.refused(server, new, tmp_path / "root", "host key is not known here")

    def test_a_key_it_does_not_take(
        self, another_server: Callable[[str], Server], new: Path, tmp_path: Path
    ) -> None:
        server = another_server("")
        (server.home / "user_key.pub").write_text("")
        self.refused(server, new, tmp_path / "root", "does not accept your key")

    def test_no_server(self, another_server: Callable[[str], Server], new: Path, tmp_path: Path) -> None:
        from remote.sshd import free_port

        server = another_server("")
        closed = Server(server.home, free_port(), server.python)
        self.refused(closed, new, tmp_path / "root", "nothing listens there")

    def test_a_shell_that_prints(
        self, another_server: Callable[[str], Server], device: Device, old: Path, tmp_path: Path
    ) -> None:
        banner = tmp_path / "banner"
        banner.write_text("Property of somebody.\n")
        shell = 'ForceCommand printf "Welcome\\n{}\\n no newline"; eval "$SSH_ORIGINAL_COMMAND"'
        server = another_server(f"Banner {banner}\n{shell}")
        assert Device(device.root, server, device.kit).deploy(old).sent_bytes == 0

    @pytest.mark.parametrize(
        ("shell", "message"),
        [
            ("yes welcome", "login shell prints without end"),
            ("echo This account is closed.; exit 1", "status 1"),
            (
                "PATH=/nonexistent /bin/sh -c 'python3 -I'",
                r"cannot run .*python.* \(.*not found\): install it",
            ),
        ],
    )
    def test_a_shell_that_runs_nothing(
        self, another_server: Callable[[str], Server], new: Path, tmp_path: Path, shell: str, message: str
    ) -> None:
        self.refused(another_server(f"ForceCommand {shell}"), new, tmp_path / "root", message)

    def test_a_python_that_is_too_old(self, server: Server, new: Path, tmp_path: Path) -> None:
        old_python = tmp_path / "python3.6"
        code = "import sys; sys.version_info = (3, 6, 9); sys.version = '3.6.9 (x)'; exec(sys.argv[1])"
        old_python.write_text(f'#!/bin/sh\nexec {server.python} -c "{code}" "$3"\n')
        old_python.chmod(0o755)
        ancient = Server(server.home, server.port, str(old_python))
        self.refused(ancient, new, tmp_path / "root", r"Python 3\.6\.9 is too old: edgevoice needs 3\.10")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere; see test_ordinary_user.py")
def test_a_folder_that_the_user_may_not_write_to(device: Device, old: Path, new: Path) -> None:
    device.root.chmod(0o555)
    try:
        with pytest.raises(Unfit, match=r"may not write to .*nothing was sent"):
            device.deploy(new)
        assert device.speaks() == name_of(old)
    finally:
        device.root.chmod(0o755)


needs_mount = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a file system")


@pytest.fixture
def small_disk(tmp_path: Path) -> object:
    """A file system of 16 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=60)
    if done.returncode:
        pytest.skip(f"no mount here: {done.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], capture_output=True, timeout=60)


@needs_mount
def test_a_disk_without_room_is_seen_before_anything_is_sent(
    small_disk: Path, empty: Device, old: Path
) -> None:
    with pytest.raises(Unfit, match=r"has 17 MB free and needs about .*nothing was sent"):
        Device(small_disk / "root", empty.server, empty.kit).deploy(old)
    assert os.listdir(small_disk) == []


@needs_mount
def test_a_disk_that_fills_up_on_the_way(
    small_disk: Path, first: tuple[Path, Outcome], device: Device, old: Path, work: Path, tmp_path: Path
) -> None:
    """The preflight saw room, then somebody else took it."""
    large = make(tmp_path, "large", size=600_000, acoustic=5, encoder=5, vocoder=5)
    shutil.copytree(device.root, small_disk / "root", symlinks=True)
    here = Device(small_disk / "root", device.server, device.kit)
    with open(small_disk / "other", "wb") as other:
        free = os.statvfs(small_disk)
        room = free.f_bavail * free.f_frsize
        assert room > 2_000_000
        other.write(bytes(room - 700_000))
    with pytest.raises(EdgevoiceError, match=r"MB"):
        here.deploy(large)
    with Session(here.server.host(here.root), here.server.ssh()) as session:
        session.ask("begin", root=str(here.root), wanted=["0" * 64])
        session.send("put", bytes(1 << 20), sha256="0" * 64, offset=0)
        with pytest.raises(EdgevoiceError, match="No space left"):
            session.receive()
    assert not (here.root / "arriving").exists()
    assert here.speaks() == name_of(old)
    (small_disk / "other").unlink()
    here.deploy(large)
    assert here.speaks() == name_of(large)


@needs_mount
def test_a_disk_that_is_read_only(small_disk: Path, device: Device, old: Path, new: Path) -> None:
    shutil.copytree(device.root, small_disk / "root", symlinks=True)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True, timeout=60)
    here = Device(small_disk / "root", device.server, device.kit)
    with pytest.raises(Unfit, match=r"mounted read-only.*nothing was sent"):
        here.deploy(new)
    assert here.speaks() == name_of(old)
