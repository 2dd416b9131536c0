"""Deploy, go back, prune and refuse in a local folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from deploy.deploy_bundles import content, make, name_of

from edgevoice import bundle
from edgevoice.deploy import engines, lock, stage
from edgevoice.deploy.layout import Folder
from edgevoice.deploy.local import (
    Deployment,
    commit,
    deploy,
    go_back_if_on_trial,
    releases,
    resolve,
    rollback,
    status,
)
from edgevoice.deploy.selftest import Report
from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish

HERE = Path(__file__).parent


def put(source: Path, root: Path, keep: int = 3, trial: bool = False) -> Deployment:
    return deploy(source, root, keep=keep, trial=trial, self_test=content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "device"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return make(tmp_path, "one")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return make(tmp_path, "two", vocoder=1)


def several(folder: Path, count: int) -> list[Path]:
    return [make(folder, f"voice{number}", size=1000, vocoder=number) for number in range(count)]


def speaking(root: Path) -> str:
    place = resolve(root)
    bundle.read(place)
    assert place == (root / "current").resolve()
    return place.name


def test_a_first_deploy_speaks(one: Path, root: Path) -> None:
    done = put(one, root)
    assert speaking(root) == done.release.name == name_of(one)
    assert (done.copied_bytes, done.linked_bytes) == (120_002, 0)
    assert not os.path.isabs(os.readlink(root / "current"))
    assert done.release.voice == "one"
    assert not (root / "staging").exists()


def test_the_folder_may_be_moved(one: Path, root: Path, tmp_path: Path) -> None:
    put(one, root)
    root.rename(tmp_path / "elsewhere")
    assert speaking(tmp_path / "elsewhere") == name_of(one)


def test_a_second_deploy_of_the_same_bundle_copies_nothing(
    one: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(one, root)
    monkeypatch.setattr(stage, "stage", lambda *_: pytest.fail("staged again"))
    done = put(one, root)
    assert (done.copied_bytes, done.linked_bytes) == (0, 0)
    assert [release.name for release in releases(root)] == [name_of(one)]
    assert status(root).previous is None


def test_unchanged_files_are_shared(one: Path, two: Path, root: Path) -> None:
    old, new = put(one, root).release.path, put(two, root)
    assert (new.copied_bytes, new.linked_bytes) == (40_000, 80_002)
    assert os.path.samefile(old / "encoder.fp32.onnx", new.release.path / "encoder.fp32.onnx")
    assert not os.path.samefile(old / "vocoder.fp32.onnx", new.release.path / "vocoder.fp32.onnx")


def test_without_hard_links_files_are_copied(
    one: Path, two: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    put(one, root)
    free = shutil.disk_usage(root)
    done = put(two, root)
    assert (done.copied_bytes, done.linked_bytes) == (120_002, 0)
    assert speaking(root) == name_of(two)
    rollback(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free._replace(free=stage.SPARE_BYTES + 120_001))
    shutil.rmtree(done.release.path)
    with pytest.raises(EdgevoiceError, match="free and the release needs"):
        put(two, root)


def test_a_damaged_file_of_an_old_release_is_not_shared(one: Path, two: Path, root: Path) -> None:
    damage(put(one, root).release.path / "encoder.fp32.onnx")
    assert put(two, root).copied_bytes == 80_000
    assert speaking(root) == name_of(two)


def test_deploying_again_mends_a_damaged_release(one: Path, root: Path) -> None:
    damage(put(one, root).release.path / "encoder.fp32.onnx")
    put(one, root)
    assert speaking(root) == name_of(one)
    assert len(releases(root)) == 1


def test_a_deployed_folder_is_a_source_too(one: Path, root: Path, tmp_path: Path) -> None:
    put(one, root)
    put(root, tmp_path / "other")
    assert speaking(tmp_path / "other") == name_of(one)


def test_rollback_goes_back_step_by_step(tmp_path: Path, root: Path) -> None:
    voices = several(tmp_path, 3)
    for voice in voices:
        put(voice, root)
    assert rollback(root).name == name_of(voices[1]) == speaking(root)
    assert rollback(root).name == name_of(voices[0]) == speaking(root)
    with pytest.raises(EdgevoiceError, match=r"no earlier release .* still speaks"):
        rollback(root)
    assert rollback(root, to=name_of(voices[2])[:6]).name == speaking(root) == name_of(voices[2])
    assert rollback(root).name == name_of(voices[0])


def test_rollback_after_a_deploy_that_followed_a_rollback(tmp_path: Path, root: Path) -> None:
    first, bad, good = several(tmp_path, 3)
    put(first, root)
    put(bad, root)
    rollback(root)
    put(good, root)
    assert rollback(root).name == name_of(first)


def test_rollback_refuses_a_damaged_release(one: Path, two: Path, root: Path) -> None:
    damage(put(one, root).release.path / "acoustic.fp32.onnx")
    put(two, root)
    with pytest.raises(EdgevoiceError, match="checksum"):
        rollback(root)
    assert speaking(root) == name_of(two)


def test_rollback_to_an_unknown_release_lists_the_known(one: Path, root: Path) -> None:
    put(one, root)
    with pytest.raises(EdgevoiceError, match=f"'ffffffffff' names 0 releases.*{name_of(one)}"):
        rollback(root, to="ffffffffff")


def test_old_releases_are_pruned(tmp_path: Path, root: Path) -> None:
    voices = several(tmp_path, 5)
    for voice in voices:
        put(voice, root)
    assert [release.name for release in releases(root)] == [name_of(voice) for voice in voices[:1:-1]]


def test_the_previous_release_is_never_pruned(tmp_path: Path, root: Path) -> None:
    voices = several(tmp_path, 3)
    for voice in voices:
        put(voice, root, keep=1)
    assert [(release.current, release.previous) for release in releases(root)] == [
        (True, False),
        (False, True),
    ]


def test_a_lost_state_costs_the_history_not_the_voice(one: Path, two: Path, root: Path) -> None:
    put(one, root)
    put(two, root)
    (root / "state.json").write_text("{")
    assert speaking(root) == name_of(two)
    assert status(root).previous is None
    assert rollback(root, to=name_of(one)).name == speaking(root)


def test_a_trial_is_left_unless_it_is_committed(one: Path, two: Path, root: Path) -> None:
    put(one, root)
    assert put(two, root, trial=True).release.on_trial
    went = go_back_if_on_trial(root)
    assert went is not None
    assert went.name == name_of(one) == speaking(root)
    assert go_back_if_on_trial(root) is None

    put(two, root, trial=True)
    assert not commit(root).on_trial
    assert go_back_if_on_trial(root) is None
    assert speaking(root) == name_of(two)
    assert rollback(root).name == name_of(one)


def test_a_trial_without_anything_before_it_stays(one: Path, root: Path) -> None:
    put(one, root, trial=True)
    assert go_back_if_on_trial(root) is None
    assert speaking(root) == name_of(one)


def test_deploying_a_trial_again_commits_it(one: Path, two: Path, root: Path) -> None:
    put(one, root)
    put(two, root, trial=True)
    assert not put(two, root).release.on_trial


def test_a_trial_goes_back_past_a_damaged_release(tmp_path: Path, root: Path) -> None:
    whole, damaged, tried = several(tmp_path, 3)
    put(whole, root)
    damage(put(damaged, root).release.path / "vocoder.fp32.onnx")
    put(tried, root, trial=True)
    went = go_back_if_on_trial(root)
    assert went is not None
    assert went.name == name_of(whole) == speaking(root)


@pytest.mark.parametrize("before", [False, True])
def test_a_failed_self_test_changes_nothing(one: Path, two: Path, root: Path, before: bool) -> None:
    if before:
        put(one, root)
    found = contents(root)
    with pytest.raises(EdgevoiceError, match="failed its self-test: it only hums; " + "release" * before):
        deploy(two, root, self_test=lambda *_: Report(["it only hums"]))
    assert contents(root) == found
    assert root.exists() == before


def test_the_self_test_gets_the_staged_release_the_budget_and_the_engine(
    one: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int | None, str]] = []

    def listen(folder: Path, budget: int | None, engine: Wish) -> Report:
        asked.append((folder.parent.name, budget, engine))
        return content(folder, budget, engine)

    monkeypatch.setattr(engines, "build", lambda *_: "")
    deploy(one, root, budget=5, engine="tensorrt", self_test=listen)
    assert asked == [("staging", 5, "tensorrt")]


def test_everything_is_synced_before_the_switch(
    one: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    replace, sync = os.replace, os.fsync

    def note_replace(source: Path, target: Path) -> None:
        done.append(f"switch {Path(target).name}")
        replace(source, target)

    def note_sync(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        sync(descriptor)

    monkeypatch.setattr(os, "replace", note_replace)
    monkeypatch.setattr(os, "fsync", note_sync)
    put(one, root)
    at = done.index("switch current")
    assert {path.name for path in one.iterdir()} <= set(done[:at])
    assert {name_of(one), "releases", "device", "state.json"} <= set(done[:at])
    assert done[at + 1] == "device"


@pytest.mark.parametrize("name", ["encoder.fp32.onnx", "text.json", "manifest.json"])
def test_a_tampered_bundle_is_refused(one: Path, two: Path, root: Path, name: str) -> None:
    put(one, root)
    damage(two / name)
    with pytest.raises(EdgevoiceError, match=r"changed or cut short|no bundle manifest"):
        put(two, root)
    assert speaking(root) == name_of(one)


@pytest.mark.parametrize("name", ["encoder.fp32.onnx", "manifest.json"])
def test_a_release_that_is_not_whole_is_not_loaded(one: Path, root: Path, name: str) -> None:
    (put(one, root).release.path / name).unlink()
    with pytest.raises(EdgevoiceError, match=r"missing|no bundle"):
        resolve(root)
    assert releases(root)[0].problem


def test_a_bundle_in_the_place_of_another_is_not_loaded(one: Path, two: Path, root: Path) -> None:
    place = put(one, root).release.path
    for path in two.iterdir():
        (place / path.name).unlink()
        (place / path.name).write_bytes(path.read_bytes())
    with pytest.raises(EdgevoiceError, match="not what was installed"):
        resolve(root)


def test_foreign_content_is_left_alone(one: Path, root: Path) -> None:
    root.mkdir()
    (root / "diary").write_text("private")
    with pytest.raises(EdgevoiceError, match="holds other things"):
        put(one, root)
    assert contents(root) == ["diary"]


def test_places_that_are_no_folder_for_releases(one: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EdgevoiceError, match="is a file"):
        put(one, tmp_path / "file")
    with pytest.raises(EdgevoiceError, match="inside the bundle"):
        put(one, one / "device")
    with pytest.raises(EdgevoiceError, match="holds other things"):
        put(one, one)
    for verb in (resolve, status, releases, rollback, commit, go_back_if_on_trial):
        with pytest.raises(EdgevoiceError, match="no deployed folder"):
            verb(tmp_path)
    with pytest.raises(EdgevoiceError, match="does not exist"):
        put(tmp_path / "nothing", tmp_path / "device")
    assert not (tmp_path / "device").exists()


def test_an_altered_current_is_named(one: Path, root: Path) -> None:
    put(one, root)
    (root / "current").unlink()
    (root / "current").symlink_to("/etc")
    with pytest.raises(EdgevoiceError, match="points to /etc"):
        resolve(root)


def test_too_little_space_is_refused_before_anything_is_copied(
    one: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(free=1_000_000))
    monkeypatch.setattr(stage, "stage", lambda *_: pytest.fail("copied"))
    with pytest.raises(EdgevoiceError, match=r"has 1\.0 MB free and the release needs 1\.2 MB: free 0\.2 MB"):
        put(one, root)
    assert not root.exists()


class Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_one_deploy_at_a_time(one: Path, two: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.1)
    put(one, root)
    with lock.locked(Folder(root)):
        assert status(root).deploying
        with pytest.raises(EdgevoiceError, match="another deploy into"):
            put(two, root)
    assert not status(root).deploying
    put(two, root)


def test_a_file_larger_than_the_user_may_write(one: Path, root: Path) -> None:
    """A write that fails half-way for real: a limit on the size of files stands in for the full disk."""
    code = (
        "import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "sys.path.insert(0, sys.argv[1]); from deploy_bundles import content; "
        "from edgevoice.deploy.local import deploy; deploy(sys.argv[2], sys.argv[3], self_test=content)"
    )
    assert "File too large; no release is installed there yet" in fails(code, str(HERE), str(one), str(root))
    assert not root.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_fills_up(one: Path, tmp_path: Path, mounted: Callable[[str], Path]) -> None:
    disk = mounted("size=1500k")
    big = make(tmp_path, "big", size=900_000)
    put(one, disk / "device")
    before = contents(disk)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from deploy_bundles import content; "
        "from edgevoice.deploy import stage; from edgevoice.deploy.local import deploy; "
        "stage.check_space = lambda *_: None; deploy(sys.argv[2], sys.argv[3], self_test=content)"
    )
    said = fails(code, str(HERE), str(big), str(disk / "device"))
    assert f"is full: free some space and deploy again; release {name_of(one)} still speaks" in said
    assert contents(disk) == before
    assert speaking(disk / "device") == name_of(one)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_read_only_file_system(one: Path, two: Path, mounted: Callable[[str], Path]) -> None:
    disk = mounted("size=10m")
    put(one, disk / "device")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True, timeout=60)
    for action in (lambda: put(two, disk / "device"), lambda: put(two, disk / "new")):
        with pytest.raises(EdgevoiceError, match=r"cannot be written .*Read-only"):
            action()
    assert speaking(disk / "device") == name_of(one)
    current = status(disk / "device").current
    assert current is not None
    assert current.name == name_of(one)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(one: Path, root: Path) -> None:
    root.mkdir(mode=0o555)
    with pytest.raises(EdgevoiceError, match="cannot be written"):
        put(one, root)
    assert contents(root) == []


@pytest.fixture
def mounted(tmp_path: Path) -> object:
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        ran = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)],
            capture_output=True,
            check=False,
            timeout=60,
        )
        if ran.returncode:
            pytest.skip(f"no mount here: {ran.stderr.decode().strip()}")
        return place

    yield mount
    subprocess.run(["umount", str(place)], capture_output=True, check=False, timeout=60)


def fails(code: str, *arguments: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    assert "edgevoice.errors.EdgevoiceError" in ran.stderr, ran.stderr
    return ran.stderr


def damage(path: Path) -> None:
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)


def contents(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))
