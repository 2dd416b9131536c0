"""Sign a bundle: with keys of every kind, and stopped at every step."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from deploy.deploy_bundles import content, make
from signing.signing_keys import make_key, public_of, signed

from edgevoice import bundle
from edgevoice.deploy.local import deploy
from edgevoice.errors import EdgevoiceError
from edgevoice.signing import openssh
from edgevoice.signing.sign import sign

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MAIN = "from edgevoice.cli import main; main()"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return make(tmp_path, "one", size=1000)


def test_a_signature_lies_beside_the_manifest_and_names_its_key(one: Path, key: Path) -> None:
    before = bundle.read(one)
    done = sign(one, key)
    assert (done.id, done.serial) == (before.id, 0)
    assert done.fingerprint == public_of(key).fingerprint == printed(key)
    assert {path.name for path in one.iterdir()} == {
        *before.manifest.files,
        "manifest.json",
        "manifest.json.sig",
    }
    signature = bundle.read(one).signature
    assert signature is not None
    assert openssh.valid((one / "manifest.json").read_bytes(), signature)


def printed(key: Path) -> str:
    command = ["ssh-keygen", "-l", "-f", str(key)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()[1]


def test_a_serial_goes_into_the_manifest_and_so_into_the_id(one: Path, key: Path) -> None:
    before = bundle.read(one).id
    done = sign(one, key, 7)
    assert done.serial == bundle.read(one).manifest.serial == 7
    assert done.id != before
    assert sign(one, key).id == sign(one, key, 7).id == done.id


def test_a_bundle_made_anew_is_not_signed(one: Path, key: Path) -> None:
    sign(one, key)
    found = bundle.read(one)
    made = bundle.write(one, found.manifest, {name: found.file(name) for name in found.manifest.files})
    assert made.signature is None


def test_an_altered_bundle_is_not_signed(one: Path, key: Path) -> None:
    (one / "encoder.fp32.onnx").write_bytes(bytes(1000))
    with pytest.raises(EdgevoiceError, match="was changed"):
        sign(one, key)
    assert not (one / "manifest.json.sig").exists()


def test_a_signature_does_not_count_as_a_file_of_the_manifest(one: Path) -> None:
    raw = (one / "manifest.json").read_bytes().replace(b"text.json", b"manifest.json.sig")
    (one / "manifest.json").write_bytes(raw)
    with pytest.raises(EdgevoiceError, match="unsafe file name"):
        bundle.read(one)


def test_a_pass_phrase_is_never_asked_for(one: Path, tmp_path: Path) -> None:
    locked = make_key(tmp_path / "locked", phrase="secret")
    with pytest.raises(EdgevoiceError, match=r"has a pass phrase: run `ssh-add .*locked` first"):
        sign(one, locked)
    assert not (one / "manifest.json.sig").exists()


def test_keys_that_cannot_sign(one: Path, key: Path, tmp_path: Path) -> None:
    ecdsa = make_key(tmp_path / "ecdsa", kind="ecdsa")
    bare = Path(shutil.copy(key.with_suffix(".pub"), tmp_path / "bare.pub"))
    shared = Path(shutil.copy(key, tmp_path / "shared"))
    shared.chmod(0o644)
    (tmp_path / "text").write_text("no key")
    (tmp_path / "text").chmod(0o600)
    for path, message in (
        (ecdsa, "is no Ed25519 key: make one with"),
        (bare, "nothing here can sign with .*run `ssh-add`"),
        (shared, "can be read by others, so OpenSSH will not use it: chmod 600"),
        (tmp_path / "text", "cannot sign: .*make one with"),
        (tmp_path / "nothing", "is no key file"),
        (tmp_path, "is no key file"),
    ):
        with pytest.raises(EdgevoiceError, match=message) as refused:
            sign(one, path)
        assert "\n" not in str(refused.value)
    assert not (one / "manifest.json.sig").exists()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    socket = tmp_path / "agent"
    if len(str(socket)) > 100:
        socket = Path(f"/tmp/edgevoice-agent-{os.getpid()}")
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket)], start_new_session=True, **quiet)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(socket))
        for _ in range(600):
            if socket.exists():
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        yield
    finally:
        process.kill()
        process.wait(timeout=60)
        socket.unlink(missing_ok=True)


@pytest.mark.usefixtures("agent")
def test_an_agent_signs_for_a_public_key(one: Path, key: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copy(key.with_suffix(".pub"), tmp_path / "bare.pub"))
    subprocess.run(
        ["ssh-add", "-q", str(key)], check=True, timeout=60, capture_output=True, stdin=subprocess.DEVNULL
    )
    assert sign(one, bare).fingerprint == public_of(key).fingerprint


def test_a_release_is_not_signed_where_it_is_installed(one: Path, key: Path, tmp_path: Path) -> None:
    installed = deploy(one, tmp_path / "device", self_test=content).release.path
    for path in (installed, tmp_path / "device" / "current"):
        with pytest.raises(EdgevoiceError, match="lies in a deployed folder"):
            sign(path, key, 3)


def test_killed_at_any_step_a_bundle_is_signed_or_unsigned_never_wrongly_signed(
    tmp_path: Path, key: Path
) -> None:
    begin = signed(tmp_path, "begin", key, serial=1)
    rows = json.loads(ran(str(HERE / "sign_moments.py"), str(begin), str(key), str(tmp_path)))
    assert len(rows) > 8
    for row in rows:
        assert row["status"] == (0 if row is rows[-1] else -signal.SIGKILL), row
        assert row["valid"], row
        assert row["left"] == sorted(path.name for path in begin.iterdir()), row
    assert {tuple(row["holds"]) for row in rows} == {(1, True), (1, False), (2, False), (2, True)}


def test_the_verb(one: Path, key: Path) -> None:
    said = ran("-c", MAIN, "sign", str(one), "--key", str(key), "--serial", "20260131", "--json")
    assert json.loads(said) == {
        "path": str(one),
        "id": bundle.read(one).id,
        "serial": 20260131,
        "fingerprint": public_of(key).fingerprint,
    }


def ran(*words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    done = subprocess.run(
        [sys.executable, *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        env=environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
