"""Engines on disk: hits and misses, damage, one builder at a time, nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from standin.gpu import Gpu

from edgevoice import Voice
from edgevoice.deploy.layout import Folder
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines import providers
from edgevoice.runtime.engines.tensorrt import here
from edgevoice.runtime.engines.tensorrt.build import Built, Steps
from edgevoice.runtime.engines.tensorrt.cache import Cache, Machine, Signature
from edgevoice.runtime.engines.tensorrt.shapes import Lengths

HERE = Machine("Orin", "8.7", "tensorrt 10.3.0", "12.6", "36.4")
WANTED = Signature(HERE, "vocoder", "fp16", "ab" * 32, Lengths((Steps(1, 8, 32),)), 1 << 20, 0)


class Builder:
    """Counts how often it was asked, and keeps the timing caches that it was given."""

    def __init__(self, plan: bytes = b"a plan", timings: bytes = b"timings") -> None:
        self.plan, self.timings = plan, timings
        self.given: list[bytes] = []

    def __call__(self, timings: bytes) -> Built:
        self.given.append(timings)
        return Built(self.plan, self.timings, ())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "engines")


def test_a_plan_is_built_once(cache: Cache) -> None:
    build = Builder()
    assert cache.find(WANTED) is None
    assert cache.get(WANTED, build) == (b"a plan", True)
    assert cache.get(WANTED, build) == (b"a plan", False)
    assert build.given == [b""]
    assert not list(cache.folder.glob(".*.new"))


def test_the_next_build_is_given_the_timings(cache: Cache) -> None:
    build = Builder()
    cache.get(WANTED, build)
    cache.get(replace(WANTED, stage="acoustic"), build)
    cache.get(replace(WANTED, machine=replace(HERE, cuda="13.2")), build)
    assert build.given == [b"", b"timings", b""]


@pytest.mark.parametrize(
    "other",
    [
        replace(WANTED, onnx="cd" * 32),
        replace(WANTED, precision="int8"),
        replace(WANTED, lengths=Lengths((Steps(1, 8, 64),))),
        replace(WANTED, workspace_bytes=1),
        replace(WANTED, aux_streams=1),
        replace(WANTED, builder=0),
        replace(WANTED, machine=replace(HERE, capability="8.6")),
        replace(WANTED, machine=replace(HERE, tensorrt="tensorrt 10.16.1")),
        replace(WANTED, machine=replace(HERE, jetpack="36.5")),
    ],
)
def test_anything_that_changes_is_another_engine(cache: Cache, other: Signature) -> None:
    cache.get(WANTED, Builder())
    assert cache.find(other) is None
    assert cache.get(other, Builder(b"another"))[0] == b"another"
    assert cache.find(WANTED) == b"a plan"


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "swapped", "no head"])
def test_a_damaged_engine_is_built_again_and_never_loaded(cache: Cache, damage: str) -> None:
    cache.get(WANTED, Builder(b"x" * 500))
    path = cache.folder / WANTED.file
    whole = path.read_bytes()
    if damage == "swapped":
        other = replace(WANTED, onnx="cd" * 32)
        cache.get(other, Builder(b"y" * 500))
        os.replace(cache.folder / other.file, path)
    else:
        damaged = {"cut": whole[:-9], "empty": b"", "changed": whole[:-1] + b"z", "no head": b"x" * 500}
        path.write_bytes(damaged[damage])
    assert cache.find(WANTED) is None
    assert cache.get(WANTED, Builder(b"x" * 500)) == (b"x" * 500, True)
    assert path.read_bytes() == whole


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_stranger_s_engine_is_not_loaded(cache: Cache) -> None:
    cache.get(WANTED, Builder())
    assert cache.find(WANTED) is not None
    os.chown(cache.folder / WANTED.file, 12345, -1)
    assert cache.find(WANTED) is None


def test_a_folder_where_anybody_writes_is_not_trusted(cache: Cache) -> None:
    cache.get(WANTED, Builder())
    assert cache.folder.stat().st_mode & 0o777 == 0o755
    cache.folder.chmod(0o777)
    assert cache.find(WANTED) is None


def test_a_failed_build_leaves_nothing(cache: Cache) -> None:
    def build(timings: bytes) -> Built:
        raise EdgevoiceError("no")

    with pytest.raises(EdgevoiceError, match="no"):
        cache.get(WANTED, build)
    assert [path.name for path in cache.folder.iterdir()] == [".lock"]
    assert cache.get(WANTED, Builder())[1]


def test_one_builds_and_the_others_take_what_it_made(cache: Cache) -> None:
    building, go_on = threading.Event(), threading.Event()
    waiter = Builder(b"never")
    found: list[tuple[bytes, bool]] = []

    def slow(timings: bytes) -> Built:
        building.set()
        assert go_on.wait(60)
        return Built(b"the first's", b"", ())

    threads = [threading.Thread(target=lambda: found.append(cache.get(WANTED, slow)))]
    threads[0].start()
    assert building.wait(60)
    threads.append(threading.Thread(target=lambda: found.append(cache.get(WANTED, waiter))))
    threads[1].start()
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert sorted(found) == [(b"the first's", False), (b"the first's", True)]
    assert waiter.given == []


def test_another_process_that_does_not_end_is_named(cache: Cache) -> None:
    cache.folder.mkdir()
    script = (
        "import fcntl, sys\n"
        "lock = open(sys.argv[1], 'w')\n"
        "fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", script, str(cache.folder / ".lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(EdgevoiceError, match="another process builds"), cache.locked(patience=0.0):
            pass
        holder.kill()
        holder.wait(60)
        with cache.locked(patience=60.0):  # the lock of a killed process is nobody's
            pass
    finally:
        holder.kill()
        holder.communicate(timeout=60)


def test_what_a_killed_writer_left_is_cleared(cache: Cache) -> None:
    cache.folder.mkdir()
    left = cache.folder / f".{WANTED.file}.77.new"
    left.write_bytes(b"half")
    cache.get(WANTED, Builder())
    assert not left.exists()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "engines").write_text("a file")
    with pytest.raises(EdgevoiceError, match="cannot keep engines in"):
        Cache(tmp_path / "engines").get(WANTED, Builder())


def test_engines_of_no_release_are_removed(cache: Cache) -> None:
    cache.get(WANTED, Builder())
    other = replace(WANTED, onnx="cd" * 32)
    cache.get(other, Builder())
    for name in ("aa", "bb"):
        cache.write(f"{name}.key.json", b"{}")
    cache.prune({"aa"}, {WANTED.onnx}, None)
    assert [path.name for path in cache.folder.glob("*.json")] == ["aa.key.json"]
    assert cache.find(WANTED) is not None
    assert cache.find(other) is None


def test_engines_of_a_former_tensorrt_are_removed(cache: Cache) -> None:
    now = replace(HERE, tensorrt="tensorrt 10.16.1", jetpack="38.2")
    for wanted in (WANTED, replace(WANTED, machine=now)):
        cache.get(wanted, Builder())
        cache.write(f"aa.{wanted.machine.key}.json", b"{}")
    cache.prune({"aa"}, {WANTED.onnx}, None)
    assert len(list(cache.folder.iterdir())) == 7  # where it is not known what is here, nothing goes
    cache.prune({"aa"}, {WANTED.onnx}, now)
    assert {path.name for path in cache.folder.iterdir()} == {
        ".lock", replace(WANTED, machine=now).file, f"aa.{now.key}.json", f"timings.{now.key}"
    }  # fmt: skip


def aged(cache: Cache, name: str, days: float) -> Path:
    """The file as if it had last been used so many days ago."""
    path = cache.folder / name
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))
    return path


def test_what_nobody_uses_goes_and_what_is_loaded_stays(cache: Cache) -> None:
    other = replace(WANTED, stage="acoustic")
    for wanted in (WANTED, other):
        cache.get(wanted, Builder())
    cache.write("former.json", b"{}")
    cache.write("unrelated.txt", b"")
    names = (WANTED.file, other.file, "former.json", f"timings.{HERE.key}", "unrelated.txt")
    used, *old, foreign = (aged(cache, name, 100) for name in names)
    assert cache.find(WANTED) == b"a plan"
    cache.expire()
    assert used.exists()
    assert foreign.exists()
    assert not any(path.exists() for path in old)
    aged(cache, WANTED.file, 80)
    cache.expire()
    assert used.exists()


@pytest.mark.parametrize("by", ["expire", "prune"])
def test_what_a_provider_has_built_goes_when_nobody_has_used_it_for_long(
    cache: Cache, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files have names that are not ours; the folder of each GPU and release goes whole."""
    now = providers.kept(cache.folder)
    for folder in (now, now.with_name("former"), now.with_name("recent")):
        folder.mkdir(parents=True)
        (folder / "TensorrtExecutionProvider_1.engine").touch()
        aged(cache, f"ort/{folder.name}", 10 if folder.name == "recent" else 100)
    assert providers.kept(cache.folder) == now
    cache.expire() if by == "expire" else cache.prune({"aa"}, set(), None)
    assert {folder.name for folder in (cache.folder / "ort").iterdir()} == {now.name, "recent"}


def test_nothing_is_removed_while_another_process_builds(cache: Cache) -> None:
    cache.get(WANTED, Builder())
    path = aged(cache, WANTED.file, 100)
    with cache.locked(), pytest.raises(EdgevoiceError):
        cache.expire()
    assert path.exists()


def test_timings_that_anybody_may_have_written_are_not_given(cache: Cache) -> None:
    build = Builder()
    cache.get(WANTED, build)
    cache.folder.chmod(0o777)
    cache.get(replace(WANTED, stage="acoustic"), build)
    assert build.given == [b"", b""]


@pytest.mark.parametrize("deployed", [True, False])
def test_a_build_clears_the_user_s_cache_alone(
    deployed: bool, card: Gpu, gpu_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deployed folder's engines go with the last release that they are of."""
    cache = Cache(tmp_path / "cache" / "edgevoice" / "engines")
    cache.write("former.plan", b"")
    old = aged(cache, "former.plan", 100)
    if deployed:
        monkeypatch.setattr(here, "home", lambda path: cache.folder)
        monkeypatch.setattr(here, "_deployed", Folder)
    Voice.load(gpu_bundle, 1)
    assert len(list(cache.folder.glob("*.fp16.*.plan"))) == 3
    assert old.exists() == deployed
