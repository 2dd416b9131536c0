"""Updates from a folder, a pack and a bundle: newer ones are taken, older ones named, the rest refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from deploy.deploy_bundles import content, make, name_of
from signing.signing_keys import make_key, signed

from edgevoice.deploy import local
from edgevoice.deploy.local import go_back_if_on_trial, resolve, rollback
from edgevoice.deploy.selftest import Report
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.make import pack
from edgevoice.update.update import Outcome, update

ROOT = Path(__file__).parents[2]


def configure(root: Path, source: object, more: str = "") -> None:
    (root / "update.toml").write_text(f'source = "{source}"\n{more}')


def run(root: Path) -> Outcome:
    return update(root, lambda found: local.deploy(found, root, self_test=content))


def refusal(root: Path) -> str:
    before = {path for path in root.rglob("*")}
    with pytest.raises(EdgevoiceError) as refused:
        run(root)
    assert "\n" not in str(refused.value)
    assert {path for path in root.rglob("*")} == before
    return str(refused.value)


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    folder = tmp_path / "stick"
    folder.mkdir()
    return folder


def test_updates_are_off_until_they_are_configured(root: Path, one: Path) -> None:
    assert "updates are off: write" in refusal(root)


@pytest.mark.parametrize("kind", ["folder", "pack", "bundle"])
def test_a_newer_release_is_taken_once(root: Path, one: Path, two: Path, stick: Path, kind: str) -> None:
    file = pack(two, stick / "two.edgevoice").path
    pack(one, stick / "one.edgevoice")
    configure(root, {"folder": stick, "pack": file, "bundle": two}[kind])
    done = run(root).done
    assert done is not None
    assert done.release.name == name_of(two) == resolve(root).name
    again = run(root)
    assert (again.done, again.reason) == (None, f"release {name_of(two)} speaks already")
    assert not (root / "incoming").exists()
    assert rollback(root).name == name_of(one)


def test_a_first_release_may_come_by_update(root: Path, two: Path, stick: Path) -> None:
    pack(two, stick / "two.edgevoice")
    configure(root, stick)
    assert run(root).done
    assert resolve(root).name == name_of(two)


def test_what_was_left_is_not_taken_again(root: Path, one: Path, two: Path) -> None:
    configure(root, two)
    assert run(root).done
    rollback(root)
    assert "has been here before and was left" in run(root).reason
    assert resolve(root).name == name_of(one)


def test_a_release_that_failed_on_trial_is_not_taken_again(root: Path, one: Path, two: Path) -> None:
    configure(root, two)
    update(root, lambda found: local.deploy(found, root, trial=True, self_test=content))
    assert go_back_if_on_trial(root)
    assert "has been here before and was left" in run(root).reason


def test_an_update_that_died_on_trial_is_taken_once_more(root: Path, one: Path, two: Path) -> None:
    configure(root, two)
    update(root, lambda found: local.deploy(found, root, trial=True, self_test=content))
    assert run(root).done
    assert go_back_if_on_trial(root) is None
    assert "speaks already" in run(root).reason


def test_an_older_one_is_not_newer(root: Path, one: Path, two: Path, tmp_path: Path, key: Path) -> None:
    local.deploy(two, root, self_test=content)
    configure(root, signed(tmp_path, "early", key, 1, vocoder=4))
    assert run(root).reason == "it has serial 1, and 2 has been here"


def test_without_serials_another_release_is_newer(tmp_path: Path, stick: Path) -> None:
    root = tmp_path / "device"
    local.deploy(make(tmp_path, "a", size=500), root, self_test=content)
    configure(root, stick, "require_signature = false\n")
    pack(make(tmp_path, "b", size=500, vocoder=1), stick / "b.edgevoice")
    assert run(root).done
    pack(make(tmp_path, "c", size=500, vocoder=2), stick / "c.edgevoice")
    assert "holds b.edgevoice, c.edgevoice, none newer by its serial" in refusal(root)


def test_signatures_are_wanted_unless_they_are_not(
    tmp_path: Path, stick: Path, root: Path, one: Path
) -> None:
    free = tmp_path / "free"
    unsigned = make(tmp_path, "unsigned", size=500, vocoder=5)
    local.deploy(one, free, self_test=content)
    pack(unsigned, stick / "voice.edgevoice")
    configure(free, stick)
    assert "updates must be signed and" in refusal(free)
    configure(free, stick, "require_signature = false\n")
    assert run(free).done
    configure(root, stick, "require_signature = false\n")  # keys count all the same
    assert "it has serial 0, and 1 has been here" in run(root).reason
    pack(signed(tmp_path, "foreign", make_key(tmp_path / "foreign_key"), 7), stick / "voice.edgevoice")
    assert "which" in refusal(root)
    assert "does not trust" in refusal(root)
    assert resolve(root).name == name_of(one)


def test_sources_that_are_missing_or_wrong(root: Path, one: Path, stick: Path, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    speaks = f"; release {name_of(one)} still speaks"
    for source, message in (
        (tmp_path / "nothing", "is not there: insert the stick"),
        (stick, "holds no pack and no bundle"),
        (tmp_path / "letter", "is no pack"),
    ):
        configure(root, source)
        said = refusal(root)
        assert message in said
        assert said.endswith(speaks)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.999])
def test_a_cut_pack_does_not_read_as_nothing(
    root: Path, one: Path, two: Path, stick: Path, share: float
) -> None:
    raw = pack(two, stick / "two.edgevoice").path.read_bytes()
    (stick / "two.edgevoice").write_bytes(raw[: int(len(raw) * share)])
    configure(root, stick)
    assert f"copy or download the whole file again; release {name_of(one)} still speaks" in refusal(root)
    renamed = (stick / "two.edgevoice").rename(stick / "two.zip")
    if share > 0.1:
        assert "cut short" in refusal(root)
    assert renamed.exists()


@pytest.mark.parametrize(
    "name", ["bundle/manifest.json.sig", "bundle/manifest.json", "bundle/text.json", "pack.json"]
)
def test_a_tampered_byte_in_each_kind_of_file(
    root: Path, one: Path, two: Path, stick: Path, name: str
) -> None:
    file = pack(two, stick / "two.edgevoice").path
    raw = bytearray(file.read_bytes())
    raw[raw.index(name.encode()) + len(name) + 3] ^= 1
    file.write_bytes(raw)
    configure(root, stick)
    refusal(root)
    assert resolve(root).name == name_of(one)


def test_a_release_that_hums_is_refused(root: Path, one: Path, two: Path) -> None:
    configure(root, two)
    hum = Report(["it only hums"])
    with pytest.raises(EdgevoiceError, match=f"it only hums; release {name_of(one)} still speaks"):
        update(root, lambda found: local.deploy(found, root, self_test=lambda *_: hum))
    assert run(root).done  # it never spoke, so it may come again


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('source = "http://voices.example/x"', "is not read: give an https:// address or a path"),
        ('source = "ssh://voices.example/x"', "is not read"),
        ('source = "voices/x"', "is no whole path"),
        ('source = "https://me:secret@voices.example/x"', "is no address: .*without a password"),
        ('source = "https:///x"', "is no address"),
        ("source = 3", "Expected `str`, got `int`"),
        ("", "missing required field `source`"),
        ('source = "/x"\nsauce = 1', "unknown field `sauce`"),
        ('source = "/x"\nmost_megabytes = 0', "Expected `int` >= 1"),
        ("source", "update.toml: "),
    ],
)
def test_a_configuration_that_makes_no_sense(root: Path, one: Path, text: str, message: str) -> None:
    (root / "update.toml").write_text(text)
    with pytest.raises(EdgevoiceError, match=message) as refused:
        run(root)
    assert "\n" not in str(refused.value)


def test_a_configuration_that_others_may_write(root: Path, one: Path, two: Path) -> None:
    configure(root, two)
    (root / "update.toml").chmod(0o666)
    assert "can be written by others" in refusal(root)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be asked to write into a user's folder")
def test_root_does_not_update_a_users_folder(root: Path, one: Path, two: Path) -> None:
    configure(root, two)
    os.chown(root, 12345, 12345)
    assert "belongs to #12345, so root does not update it: sudo -u #12345 edgevoice update" in refusal(root)


def test_a_mistyped_folder_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="is no folder"):
        run(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_the_verb(root: Path, one: Path, stick: Path) -> None:
    pack(one, stick / "one.edgevoice")
    configure(root, stick)
    ran = verb("update", str(root), "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["reason"] == f"release {name_of(one)} speaks already"
    (stick / "one.edgevoice").unlink()
    ran = verb("update", str(root))
    assert (ran.returncode, ran.stdout) == (2, "")
    assert len(ran.stderr.splitlines()) == 1


def verb(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from edgevoice.cli import main; main()", *words],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
