"""``python3 PACK ROOT`` and the verbs, as processes of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from deploy.deploy_bundles import make, name_of

from edgevoice import bundle
from edgevoice.deploy.local import resolve
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.make import pack

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
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


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    folder = tmp_path / "kit"
    folder.mkdir()
    shutil.copyfile(HERE / "fake_kit.py", folder / "install.py")
    (folder / "a.whl").write_bytes(b"wheel")
    wheels = {"a.whl": {"sha256": bundle.sha256(folder / "a.whl"), "bytes": 5}}
    (folder / "kit.json").write_text(json.dumps({"wheels": wheels}))
    return folder


def test_one_file_installs_runtime_and_voice(tiny_bundle: Path, kit: Path, tmp_path: Path) -> None:
    file = pack(tiny_bundle, tmp_path / "voice.edgevoice", kit).path
    ran = run(str(file), "device", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert f"{tmp_path}/device speaks with" in ran.stdout
    assert resolve(tmp_path / "device").name == name_of(tiny_bundle)
    assert not (tmp_path / "device" / "incoming").exists()

    again = run(str(file), "device", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["copied_bytes"] == 0
    said = run("-c", MAIN, "say", "Hello.", "--voice", "device", "-o", "hello.wav", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert len(soundfile.read(tmp_path / "hello.wav")[0])


def test_what_the_runtime_refuses_is_said_of_the_pack(kit: Path, tmp_path: Path) -> None:
    file = pack(make(tmp_path, "noise", size=500), tmp_path / "noise.edgevoice", kit).path
    ran = run(str(file), "device", "--json", cwd=tmp_path)
    assert "failed its self-test" in line(ran)
    assert "failed its self-test" in json.loads(ran.stdout)["error"]
    assert not (tmp_path / "device" / "incoming").exists()


def test_a_pack_with_code_that_was_cut_says_so_in_one_line(kit: Path, tmp_path: Path) -> None:
    raw = pack(make(tmp_path, "one"), tmp_path / "one.edgevoice", kit).path.read_bytes()
    for length in (100, len(raw) // 2, len(raw) - 1):
        (tmp_path / "cut").write_bytes(raw[:length])
        ran = run(str(tmp_path / "cut"), "device", cwd=tmp_path)
        assert ran.returncode == 1
        (only,) = ran.stderr.splitlines()
        assert "this-pack-was-cut-short--copy-the-whole-file-again" in only
    assert not (tmp_path / "device").exists()


def test_a_wheel_altered_in_the_pack_is_not_installed(kit: Path, tmp_path: Path) -> None:
    file = pack(make(tmp_path, "one"), tmp_path / "one.edgevoice", kit).path
    file.write_bytes(file.read_bytes().replace(b"wheel", b"whell"))
    assert "damaged in kit/a.whl" in line(run(str(file), "device", cwd=tmp_path))


def test_without_a_kit_it_says_what_to_run(tmp_path: Path) -> None:
    file = pack(make(tmp_path, "one"), tmp_path / "one.edgevoice").path
    assert f"carries no runtime: run `edgevoice install {file}" in line(
        run(str(file), str(tmp_path / "device"))
    )
    assert "usage: python3" in line(run(str(file)))
    assert not (tmp_path / "device").exists()


def test_a_folder_that_is_no_kit(kit: Path, tmp_path: Path) -> None:
    one = make(tmp_path, "one")
    (kit / "a.whl").write_bytes(b"other")
    with pytest.raises(EdgevoiceError, match="is not what the kit's lock file names"):
        pack(one, tmp_path / "one.edgevoice", kit)
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
