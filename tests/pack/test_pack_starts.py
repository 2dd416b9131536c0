"""``python3 PACK ROOT`` and the verbs, as processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from deploy.deploy_bundles import make, name_of
from remote import fake_kit
from signing.signing_keys import public_of, workshop_key

from edgevoice import bundle
from edgevoice.deploy.local import resolve
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.make import pack
from edgevoice.pack.reader import HEAD
from edgevoice.signing.sign import sign
from edgevoice.signing.trust import trust

ROOT = Path(__file__).parents[2]
MAIN = "from edgevoice.cli import main; main()"


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def line(ran: subprocess.CompletedProcess[str]) -> str:
    assert ran.returncode == 2, ran.stdout + ran.stderr
    (only,) = ran.stderr.splitlines()
    return only


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real kit, but for a self-test that likes every voice that is not called mute."""
    return fake_kit.make_kit(tmp_path_factory.mktemp("kit") / "kit")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return workshop_key(tmp_path_factory)


def start(file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """``python3 FILE`` as on a device: a Python that sees nothing of ours."""
    command = [fake_kit.base_python(), str(file), *words]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300, cwd=file.parent
    )


def test_one_file_installs_runtime_and_voice(kit: Path, tmp_path: Path, key: Path) -> None:
    one, root = make(tmp_path, "one"), tmp_path / "device"
    file = pack(one, tmp_path / "one.edgevoice", kit).path
    ran = start(file, "device")
    assert ran.returncode == 0, ran.stderr
    assert f"{root} speaks with one (release {name_of(one)})" in ran.stdout
    assert resolve(root).name == name_of(one)
    status = [str(root / "bin" / "edgevoice"), "status", str(root), "--json"]
    done = subprocess.run(status, capture_output=True, stdin=subprocess.DEVNULL, timeout=120, check=True)
    assert json.loads(done.stdout)["current"]["voice"] == "one"
    assert not (root / "incoming").exists()
    assert json.loads(start(file, "device", "--json").stdout)["copied_bytes"] == 0

    mute = pack(make(tmp_path, "mute", vocoder=1), tmp_path / "mute.edgevoice", kit).path
    ran = start(mute, "device", "--json")
    said = f"nearly silent; release {name_of(one)} still speaks"
    assert said in line(ran)
    assert said in json.loads(ran.stdout)["error"]

    sign(one, key)
    assert start(pack(one, file, kit).path, "device").returncode == 0
    trust(root, public_of(key))
    two = pack(make(tmp_path, "two", vocoder=2), tmp_path / "two.edgevoice", kit).path
    assert "two.edgevoice is not signed, and" in line(start(two, "device"))
    assert resolve(root).name == name_of(one)
    assert not (root / "incoming").exists()


def test_a_pack_with_code_that_was_cut_says_so_in_one_line(kit: Path, tmp_path: Path) -> None:
    raw = pack(make(tmp_path, "one"), tmp_path / "one.edgevoice", kit).path.read_bytes()
    for length in (100, len(raw) // 2, len(raw) - 1):
        (tmp_path / "cut").write_bytes(raw[:length])
        ran = start(tmp_path / "cut", "device")
        assert ran.returncode == 1
        (only,) = ran.stderr.splitlines()
        assert "this-pack-was-cut-short--copy-the-whole-file-again" in only
    for length in (2, 5, 14, len(HEAD) - 2):
        (tmp_path / "cut").write_bytes(raw[:length])
        ran = start(tmp_path / "cut", "device")
        assert (ran.returncode, ran.stderr != "") == (1, True), length
    assert not (tmp_path / "device").exists()


def test_a_wheel_altered_in_the_pack_is_not_installed(kit: Path, tmp_path: Path) -> None:
    file = pack(make(tmp_path, "one"), tmp_path / "one.edgevoice", kit).path
    with zipfile.ZipFile(file) as archive:
        entry = archive.getinfo(f"kit/{fake_kit.NAME}")
    raw = bytearray(file.read_bytes())
    raw[entry.header_offset + entry.file_size // 2] ^= 1
    file.write_bytes(raw)
    assert f"damaged in kit/{fake_kit.NAME}" in line(start(file, "device"))
    assert not (tmp_path / "device").exists()


def test_without_a_kit_it_says_what_to_run(tmp_path: Path) -> None:
    file = pack(make(tmp_path, "one"), tmp_path / "one.edgevoice").path
    assert f"carries no runtime: run `edgevoice install {file} {tmp_path}/device`" in line(
        start(file, "device")
    )
    assert "usage: python3" in line(start(file))
    assert not (tmp_path / "device").exists()


def test_a_folder_that_is_no_kit(kit: Path, tmp_path: Path) -> None:
    one = make(tmp_path, "one")
    changed = tmp_path / "changed"
    shutil.copytree(kit, changed)
    (changed / fake_kit.NAME).write_bytes(b"other")
    with pytest.raises(EdgevoiceError, match="was changed or cut short"):
        pack(one, tmp_path / "one.edgevoice", changed)
    with pytest.raises(EdgevoiceError, match="is no kit"):
        pack(one, tmp_path / "one.edgevoice", one)


def test_the_verbs(tiny_bundle: Path, tmp_path: Path) -> None:
    packed = run("-c", MAIN, "pack", str(tiny_bundle), "-o", "voice.edgevoice", "--json", cwd=tmp_path)
    assert json.loads(packed.stdout)["release"] == bundle.read(tiny_bundle).id, packed.stderr
    looked = run("-c", MAIN, "inspect", "voice.edgevoice", "--json", cwd=tmp_path)
    assert json.loads(looked.stdout)["release"] == bundle.read(tiny_bundle).id, looked.stderr
    put = run("-c", MAIN, "install", "voice.edgevoice", "device", "--json", cwd=tmp_path)
    assert json.loads(put.stdout)["release"]["name"] == name_of(tiny_bundle), put.stderr
    (tmp_path / "voice.edgevoice").write_bytes(b"")
    assert "is no pack" in line(run("-c", MAIN, "install", "voice.edgevoice", "device", cwd=tmp_path))
