"""What is remembered of a build that failed, and what is tried again: never in the process that speaks."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serve.conftest import named
from standin.gpu import Gpu
from standin.trt import Runtime, Severity

from edgevoice import Voice, bundle
from edgevoice.errors import EdgevoiceError, Passing
from edgevoice.runtime.engines import Engine
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.select import ready
from edgevoice.runtime.engines.tensorrt import cache, here, library, prepare, timing
from edgevoice.runtime.engines.tensorrt.record import LONGEST_WAIT_SECONDS, Record
from edgevoice.serve import releases

LIMIT_SECONDS = 240.0
"""For what takes a moment where the machine has nothing else to do."""


@pytest.fixture
def builds(card: Gpu, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many engines each builder's process has built."""
    counts: list[int] = []
    build = prepare.in_process

    def counted(made: Path, folder: Path) -> Record:
        before = library.load().builds
        try:
            return build(made, folder)
        finally:
            counts.append(library.load().builds - before)

    monkeypatch.setattr(prepare, "in_process", counted)
    return counts


def engines(folder: Path) -> Path:
    return folder / "cache" / "edgevoice" / "engines"


def test_memory_that_was_not_free_is_tried_again_at_the_next_start(
    gpu_bundle: Path, card: Gpu, builds: list[int]
) -> None:
    card.total = 1000
    assert "MemoryAllocation" in Voice.load(gpu_bundle, 1).remark
    second = Voice.load(gpu_bundle, 1).remark
    assert second.endswith("(tried again at a start 10 minutes after the last try or with more memory free)")
    card.total = 1050
    assert Voice.load(gpu_bundle, 1).remark == second  # not yet
    assert len(builds) == 2
    card.total = 1 << 30
    assert Voice.load(gpu_bundle, 1).remark == ""
    assert len(builds) == 3
    assert ready(bundle.read(gpu_bundle)) == ""
    assert len(builds) == 3


def test_what_lacked_memory_beside_another_is_built_once_that_has_gone(
    gpu_bundle: Path, tmp_path: Path, card: Gpu, builds: list[int]
) -> None:
    speaks = Voice.load(named(gpu_bundle, tmp_path / "one"), 1)
    two = named(gpu_bundle, tmp_path / "two")
    card.total = card.used + (1 << 20)
    assert "MemoryAllocation" in ready(bundle.read(two))  # the deploy
    assert Voice.load(two, 1).no_room  # its self-test
    with pytest.raises(releases.Anew, match="MemoryAllocation"):
        releases.again(two, 1, holds_gpu=speaks.on_gpu)
    del speaks
    gc.collect()
    started = Voice.load(two, 1)
    assert (started.remark, "TensorRT" in started.engines) == ("", True)


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the folder of engines what it is for a service under its unit; root may write in any other."""

    class System:
        def __getattr__(self, name: str) -> Any:
            return getattr(os, name)

        def open(self, path: Path, *_: object) -> int:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    return lambda: monkeypatch.setattr(cache, "os", System())


def test_a_record_that_cannot_be_kept_counts(
    gpu_bundle: Path, card: Gpu, builds: list[int], read_only: Callable[[], None]
) -> None:
    card.total = 1000
    assert "MemoryAllocation" in ready(bundle.read(gpu_bundle))  # by a deploy, beside what spoke
    card.total = 1 << 30
    read_only()
    for _ in range(2):
        assert "TensorRT" in Voice.load(gpu_bundle, 1).engines
    assert builds == [3, 0, 0]


def test_where_nothing_was_built_a_read_only_folder_asks_for_a_deploy(
    gpu_bundle: Path, tmp_path: Path, card: Gpu, read_only: Callable[[], None]
) -> None:
    read_only()
    spoken = Voice.load(gpu_bundle, 1)
    assert "Read-only file system: only its owner builds there, so deploy the release again" in spoken.remark
    assert not spoken.no_room


@pytest.mark.parametrize(("kind", "tries"), [(Passing, 2), (EdgevoiceError, 1)])
def test_only_what_is_a_property_of_bundle_and_device_is_remembered(
    kind: type[EdgevoiceError], tries: int, gpu_bundle: Path, card: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def fail(made: Path, folder: Path) -> None:
        asked.append(made)
        raise kind("another process builds")

    monkeypatch.setattr(prepare, "in_process", fail)
    place = here.find(bundle.read(gpu_bundle), "")
    for _ in range(3):
        with pytest.raises(EdgevoiceError, match=r"another process builds \(tried again"):
            here.built(place, "", lambda _: None)
    assert len(asked) == tries


def test_a_try_in_vain_leaves_what_there_was(
    gpu_bundle: Path, card: Gpu, builds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = here.find(bundle.read(gpu_bundle), "")
    before = here.built(place, "", lambda _: None)

    def fail(made: Path, folder: Path) -> None:
        raise Passing("no space left")

    monkeypatch.setattr(prepare, "in_process", fail)
    after = here.built(place, "", lambda _: None, anew=True)
    assert (after.stages, after.passing) == (before.stages, "no space left")
    assert place.recorded() == after


def test_tries_become_rarer_and_a_clock_that_was_put_back_stops_none() -> None:
    def found(tries: int) -> Record:
        return Record("a", {}, {}, passing="a lock", tries=tries, tried=1e6)

    assert found(1).due(1e6, 0)
    assert [found(2).due(1e6 + seconds, 0) for seconds in (0, 599, 600, -1)] == [False, False, True, True]
    assert found(3).wait_seconds == 1200
    assert found(40).wait_seconds == LONGEST_WAIT_SECONDS
    assert not Record("a", {}, {}, refusal="no").due(1e9, 0)


def test_an_engine_cut_short_is_built_again_where_builds_happen(
    gpu_bundle: Path, tmp_path: Path, card: Gpu, builds: list[int]
) -> None:
    Voice.load(gpu_bundle, 1)
    (plan,) = engines(tmp_path).glob("vocoder.*.plan")
    whole = plan.read_bytes()
    plan.write_bytes(whole[:-9])
    assert "TensorRT" in Voice.load(gpu_bundle, 1).engines
    assert plan.read_bytes() == whole
    assert builds == [3, 1]
    assert library.load().builds == sum(builds)


def test_who_waits_for_another_s_build_takes_its_record(
    gpu_bundle: Path, card: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    timing_now, go_on = threading.Event(), threading.Event()
    place = here.find(bundle.read(gpu_bundle), "")
    found: list[Record] = []

    def median(engine: Engine, _: object) -> float:
        timing_now.set()
        assert go_on.wait(LIMIT_SECONDS)
        timed.append(engine)
        return float(isinstance(engine, OnnxEngine))

    timed: list[Engine] = []
    waits: list[str] = []
    held = cache.Cache.locked

    def locked(self: cache.Cache, patience: float = LIMIT_SECONDS, name: str = cache.FILES) -> Any:
        waits.append(name)
        return held(self, patience, name)

    monkeypatch.setattr(timing, "median", median)
    monkeypatch.setattr(cache.Cache, "locked", locked)

    def make() -> None:
        found.append(prepare.in_process(gpu_bundle, place.cache.folder))

    one, two = threading.Thread(target=make), threading.Thread(target=make)
    one.start()
    assert timing_now.wait(LIMIT_SECONDS)
    two.start()
    deadline = time.monotonic() + LIMIT_SECONDS / 2
    while waits.count(cache.DEVICE) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    go_on.set()
    for thread in (one, two):
        thread.join(LIMIT_SECONDS)
    assert len(found) == 2
    assert found[0] == found[1]
    assert len(timed) == 6  # three stages, each by both engines, once
    assert library.load().builds == 3


def test_one_start_waits_once_for_a_lock_that_is_held(
    gpu_bundle: Path, tmp_path: Path, card: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    patiences: list[float] = []
    held = cache.Cache.locked

    def locked(self: cache.Cache, patience: float = 0.1, name: str = cache.FILES) -> Any:
        patiences.append(patience)
        return held(self, patience, name)

    monkeypatch.setattr(cache.Cache, "locked", locked)
    engines(tmp_path).mkdir(parents=True)
    with (
        open(engines(tmp_path) / cache.DEVICE, "w") as other,
        open(engines(tmp_path) / cache.FILES, "w") as files,
    ):
        fcntl.flock(other, fcntl.LOCK_EX)
        fcntl.flock(files, fcntl.LOCK_EX)
        assert "another process builds engines" in Voice.load(gpu_bundle, 1).remark
    assert patiences == [0.1, 0.0]


def test_engines_that_another_driver_no_longer_loads_are_built_again_once(
    gpu_bundle: Path, card: Gpu, builds: list[int]
) -> None:
    Voice.load(gpu_bundle, 1)
    library.load().driver = "580"
    for _ in range(2):
        spoken = Voice.load(gpu_bundle, 1)
        assert (spoken.remark, "TensorRT" in spoken.engines) == ("", True)
    assert builds == [3, 3]


def test_engines_that_never_load_are_not_built_at_every_start(
    gpu_bundle: Path, card: Gpu, builds: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(library.load()), "Runtime", Unable)
    for _ in range(3):
        assert "Version tag does not match" in Voice.load(gpu_bundle, 1).remark
    assert builds == [3]


class Unable(Runtime):
    """A runtime that loads nothing."""

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> None:
        self._trt.say(Severity.ERROR, "Version tag does not match")


@pytest.mark.parametrize(
    ("fault", "no_room"),
    [
        ("CUDA initialization failure with error 2. Please check your CUDA installation", True),
        ("CUDA initialization failure with error 35. Please check your CUDA installation", False),
    ],
)
def test_a_tensorrt_that_does_not_start_is_one_line(
    fault: str, no_room: bool, gpu_bundle: Path, card: Gpu, builds: list[int]
) -> None:
    library.load().start_fault = fault
    spoken = Voice.load(gpu_bundle, 1)
    assert fault in spoken.remark
    assert spoken.no_room == no_room
    library.load().start_fault = ""
    Voice.load(gpu_bundle, 1)
    library.load().start_fault = fault
    if no_room:
        assert "does not start" in Voice.load(gpu_bundle, 1).remark  # with the engines on disk


@pytest.mark.parametrize(("requested", "passing"), [(prepare.WORKSPACE_BYTES + 1, False), (4096, True)])
def test_more_than_the_workspace_is_refused_for_good(
    requested: int, passing: bool, gpu_bundle: Path, card: Gpu
) -> None:
    library.load().build_fault = f"Error Code 2: OutOfMemory (Requested size was {requested} bytes.)"
    assert Voice.load(gpu_bundle, 1).no_room == passing
    found = here.find(bundle.read(gpu_bundle), "").recorded()
    assert found is not None
    assert bool(found.passing) == passing


def test_engines_that_are_not_trusted_are_not_loaded_and_that_is_said(
    gpu_bundle: Path, tmp_path: Path, card: Gpu, builds: list[int]
) -> None:
    Voice.load(gpu_bundle, 1)
    engines(tmp_path).chmod(0o777)
    for _ in range(4):
        assert "which only its owner should be able to write to" in Voice.load(gpu_bundle, 1).remark
    assert len(builds) == 3  # not at every start
    assert library.load().builds == sum(builds)
