"""A release for the GPU is taken up beside the one that speaks, or anew where memory is for one alone."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from runtime.trt.test_say import ROOT, SITE
from serve.conftest import named
from serve.running import Running, content, reason, running, until
from standin.gpu import Gpu

from edgevoice import Voice, bundle
from edgevoice.deploy.layout import short
from edgevoice.deploy.local import deploy
from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish
from edgevoice.runtime.engines import room
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.tensorrt import prepare, timing
from edgevoice.serve import client, releases
from edgevoice.serve.protocol import Status, Words
from targets import load, memory

MEBI = 1 << 20
ONE_VOICE = 5 * MEBI
"""Its arena is 3 MiB: there is none for two."""


LOSING = {"fast": True, "integrated": False, "lost_after": 40}
"""A build runs fewer engines, and the text that follows more."""
LONG = "Good morning. " * 20


def on(gpu: dict[str, object]) -> dict[str, str]:
    """The environment of a service on the stand-in."""
    paths = [str(ROOT), str(SITE), str(ROOT / "tests")]
    return {"PYTHONPATH": os.pathsep.join(paths), "STANDIN_GPU": json.dumps(gpu)}


def anew(service: Running, before: Status) -> Status:
    after = until(lambda: now if (now := service.status()).instance != before.instance else None)
    assert (after.pid, after.remark) == (before.pid, "")
    assert "begins anew" in service.log.read_text()
    return after


def test_a_service_begins_anew_and_stays_on_the_gpu(gpu_bundle: Path, tmp_path: Path) -> None:
    one, two = (named(gpu_bundle, tmp_path / name) for name in ("one", "two"))
    root = tmp_path / "device"
    environment = on({"fast": True, "integrated": False, "total": ONE_VOICE})
    deploy(one, root, self_test=content)
    with running(root, "--threads", 1, environment=environment) as service:
        deploy(two, root, self_test=content)
        client.reload(service.socket)
        wanted = short(bundle.read(two, verify=False).id)
        assert until(lambda: service.status().release == wanted)
        log = service.log.read_text()
        assert "begins anew for the new release: two voices do not fit" in log
        speech = client.speak(service.socket, Words("Good morning."))
        assert "CPU" not in speech.header.stand_in + log.splitlines()[-1]
        assert b"".join(speech)


@pytest.fixture
def root(gpu_bundle: Path, tmp_path: Path) -> Path:
    deploy(named(gpu_bundle, tmp_path / "one"), tmp_path / "device", self_test=content)
    return tmp_path / "device"


def test_a_gpu_that_is_lost_is_told_and_comes_back(root: Path) -> None:
    with running(root, "--threads", 1, environment=on(LOSING)) as service:
        before = service.status()
        assert before.remark == ""
        assert service.say(LONG)
        now = service.status()
        assert (now.instance, "the GPU failed" in now.remark) == (before.instance, True)
        assert "CPU" in client.speak(service.socket, Words("Good.")).header.stand_in
        assert "speaks on the CPU here" in service.log.read_text()
        client.reload(service.socket)
        anew(service, before)


def test_a_service_that_was_steady_takes_up_a_lost_gpu_by_itself(root: Path) -> None:
    steady = "from edgevoice.serve import service\nservice.STEADY_SECONDS = 0.0\n"
    with running(root, "--threads", 1, before=steady, environment=on(LOSING)) as service:
        before = service.status()
        assert service.say(LONG)
        anew(service, before)


def test_where_the_gpu_is_required_a_lost_one_is_taken_up_at_once(root: Path) -> None:
    required = ["--require", "tensorrt"]
    with running(root, "--threads", 1, *required, environment=on(LOSING)) as service:
        before = service.status()
        assert "the GPU failed" in reason(lambda: service.say(LONG))
        anew(service, before)


@pytest.mark.parametrize("wish", ["", "tensorrt"])
def test_what_a_lost_gpu_takes_up_needs_another_process(wish: Wish, gpu_bundle: Path, card: Gpu) -> None:
    speaks = Voice.load(gpu_bundle, 1)
    assert (speaks.on_gpu, speaks.lost) == (True, False)
    card.lost = True
    for holds_gpu in (True, False):
        with pytest.raises(releases.Anew, match="IllegalAddress") as caught:
            releases.again(gpu_bundle, 1, wish, holds_gpu)
        assert "two voices" not in str(caught.value)


def test_the_gpu_s_memory_that_others_have_is_no_cause_to_begin_anew(gpu_bundle: Path, card: Gpu) -> None:
    others = Voice.load(gpu_bundle, 1)
    card.total = card.used + MEBI
    assert others.on_gpu
    assert "CPU" in releases.again(gpu_bundle, 1, "", holds_gpu=False).voice.remark
    with pytest.raises(EdgevoiceError, match="MemoryAllocation") as caught:
        releases.again(gpu_bundle, 1, "tensorrt", holds_gpu=False)
    assert not isinstance(caught.value, releases.Anew)


def beside(path: Path, wish: Wish = "") -> list[room.Room]:
    return room.beside(bundle.read(path), wish)


def test_what_it_needs_is_what_was_read_when_its_engines_were_built(
    gpu_bundle: Path, card: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    (by_cpu,) = beside(gpu_bundle)  # nothing is known of this card yet
    assert not by_cpu.gpu
    profile = load("rtx_4060_laptop")
    monkeypatch.setattr(prepare, "device", lambda: profile)
    (planned,) = beside(gpu_bundle)
    assert planned.gpu
    assert planned.needs > 100 * MEBI  # with a builder's own libraries
    monkeypatch.setattr(prepare, "device", lambda: replace(profile, budget_bytes=MEBI))
    assert not beside(gpu_bundle)[0].gpu  # it will not be built


def test_stages_by_onnx_runtime_need_the_host_s_memory(
    gpu_bundle: Path, card: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "read", lambda *_: memory.Memory(1 << 33, 1 << 32))
    slow_encoder = bundle.read(gpu_bundle).manifest.stages["encoder"].arena_bytes

    def median(engine: object, feeds: timing.Feeds) -> float:
        return float(isinstance(engine, OnnxEngine) != ("phonemes" in feeds))

    monkeypatch.setattr(timing, "median", median)
    Voice.load(gpu_bundle, 1)
    gpu, host = beside(gpu_bundle)
    assert (gpu.gpu, host.gpu) == (True, False)
    assert host.free == 1 << 32
    assert host.needs >= slow_encoder
    card.integrated = True
    (both,) = beside(gpu_bundle)
    assert both.needs == gpu.needs + host.needs


@pytest.mark.parametrize("wish", ["", "tensorrt"])
def test_memory_that_lacks_only_when_it_is_loaded_begins_anew_too(
    wish: Wish, gpu_bundle: Path, card: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaks = Voice.load(gpu_bundle, 1)
    assert "TensorRT" in speaks.engines
    assert releases.again(gpu_bundle, 1, wish).voice.remark == ""
    card.fail_allocation = 0
    with pytest.raises(releases.Anew, match="MemoryAllocation"):
        releases.again(gpu_bundle, 1, wish)
    card.total = card.used + MEBI
    with pytest.raises(releases.Anew, match=r"two voices need .* more of the GPU's memory"):
        releases.again(gpu_bundle, 1, wish)
    again = releases.again(gpu_bundle, 1, "onnxruntime").voice
    assert (again.remark, "TensorRT" in again.engines) == ("", False)
