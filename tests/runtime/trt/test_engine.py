"""Engines on a stand-in for CUDA and TensorRT. Its arithmetic is ONNX Runtime's: so must the sound be."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from standin.cudart import Cudart
from standin.gpu import Gpu
from standin.trt import BYTES_A_STEP, IExecutionContext, Tensorrt
from standin.voice import make_plans, on_cpu, speak

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, Chunks
from edgevoice.runtime.engines.cuda import CudaError
from edgevoice.runtime.engines.cuda.python import CudaPython
from edgevoice.runtime.engines.tensorrt import engine as engines
from edgevoice.runtime.engines.tensorrt import shapes
from edgevoice.runtime.synthesis import Stages

Load = Callable[[Gpu, Path], Stages]


@pytest.mark.parametrize("ids", [1, 3, 17, 60])
def test_sound_is_the_cpu_s(tiny_bundle: Path, either_gpu: Gpu, on_gpu: Load, ids: int) -> None:
    stages = on_gpu(either_gpu, tiny_bundle)
    np.testing.assert_allclose(speak(stages, ids), speak(on_cpu(tiny_bundle), ids), rtol=0, atol=1e-6)


def test_frequent_lengths_run_as_graphs(tiny_bundle: Path, gpu: Gpu, on_gpu: Load) -> None:
    stages = on_gpu(gpu, tiny_bundle)
    lengths = shapes.of(stages.manifest)
    assert [getattr(stages, name).graphs for name in STAGES] == [len(lengths[name].fixed) for name in STAGES]
    speak(stages, 80)
    assert gpu.launches >= 4


def test_stages_share_one_arena_as_large_as_the_largest(tiny_bundle: Path, gpu: Gpu, on_gpu: Load) -> None:
    stages = on_gpu(gpu, tiny_bundle)
    speak(stages, 40)
    most = max(lengths.most for lengths in shapes.of(stages.manifest).values())
    assert set(gpu.arenas) == {(next(iter(gpu.arenas))[0], most * BYTES_A_STEP)}
    assert len(gpu.device_blocks) == 1  # the arena; inputs and outputs lie in the host's memory here


def test_a_card_has_its_own_copy_of_inputs_and_outputs(tiny_bundle: Path, on_gpu: Load) -> None:
    gpu = Gpu(integrated=False)
    stages = on_gpu(gpu, tiny_bundle)
    assert (len(gpu.device_blocks), len(gpu.host_blocks)) == (2, 1)
    assert not any(block.mapped for block in gpu.host_blocks.values())
    assert stages is not None


def test_all_is_freed_when_the_voice_goes(tiny_bundle: Path, either_gpu: Gpu, on_gpu: Load) -> None:
    stages = on_gpu(either_gpu, tiny_bundle)
    speak(stages, 5)
    assert either_gpu.held > 0
    del stages
    gc.collect()
    assert either_gpu.held == 0


@pytest.mark.parametrize("integrated", [True, False])
def test_out_of_memory_at_each_allocation_frees_the_others(tiny_bundle: Path, integrated: bool) -> None:
    gpu = Gpu(integrated=integrated)
    trt = Tensorrt(gpu)
    plans = make_plans(trt, tiny_bundle)
    allocations = 2 if integrated else 3
    for number in range(allocations):
        gpu.fail_allocation = number
        with pytest.raises(CudaError, match="MemoryAllocation") as caught:
            engines.load(trt, CudaPython(Cudart(gpu)), plans)
        assert caught.value.memory
        del caught
        gc.collect()
        assert gpu.held == 0, number
    gpu.fail_allocation = allocations
    assert engines.load(trt, CudaPython(Cudart(gpu)), plans)


def test_a_lost_device_is_told_and_frees_without_a_fault(tiny_bundle: Path, gpu: Gpu, on_gpu: Load) -> None:
    stages = on_gpu(gpu, tiny_bundle)
    speak(stages, 5)
    gpu.lost = True
    with pytest.raises(CudaError, match="the GPU failed in the encoder") as caught:
        speak(stages, 5)
    assert (caught.value.memory, caught.value.lost) == (False, True)  # though TensorRT met it first
    del stages, caught
    gc.collect()


def test_a_run_for_which_memory_is_lacking_says_so(tiny_bundle: Path, gpu: Gpu) -> None:
    trt = Tensorrt(gpu)
    loaded = engines.load(trt, CudaPython(Cudart(gpu)), make_plans(trt, tiny_bundle))
    trt.run_fault = "Error Code 1: Cuda Runtime (out of memory)"
    with pytest.raises(CudaError, match="the GPU failed in the encoder") as caught:
        speak(Stages(bundle.read(tiny_bundle).manifest, **loaded), 9)
    assert (caught.value.memory, caught.value.lost) == (True, False)


def test_a_run_that_fails_leaves_the_next_one_whole(tiny_bundle: Path, gpu: Gpu) -> None:
    trt = Tensorrt(gpu)
    loaded = engines.load(trt, CudaPython(Cudart(gpu)), make_plans(trt, tiny_bundle))
    stages = Stages(bundle.read(tiny_bundle).manifest, **loaded)
    before = speak(stages, 9)
    trt.run_fault = "Myelin says no"
    with pytest.raises(CudaError, match="does not run the encoder: Myelin says no"):
        speak(stages, 9)
    trt.run_fault = ""
    np.testing.assert_array_equal(speak(stages, 9), before)


@pytest.mark.parametrize("damage", ["cut", "foreign", "newer"])
def test_a_plan_that_is_not_this_device_s_is_refused(tiny_bundle: Path, gpu: Gpu, damage: str) -> None:
    plans = make_plans(Tensorrt(gpu), tiny_bundle)
    if damage == "cut":
        plans["vocoder"] = engines.Plan(plans["vocoder"].data[:200], plans["vocoder"].lengths)
    other = Gpu(capability=(8, 9) if damage == "foreign" else (8, 7))
    trt = Tensorrt(other, "10.16.1" if damage == "newer" else "10.3.0")
    with pytest.raises(EdgevoiceError, match=r"TensorRT does not load the .* not compatible"):
        engines.load(trt, CudaPython(Cudart(other)), plans)
    gc.collect()
    assert other.held == 0


def test_two_threads_speak_as_one_after_the_other(tiny_bundle: Path, gpu: Gpu, on_gpu: Load) -> None:
    stages = on_gpu(gpu, tiny_bundle)
    expected = [speak(stages, 20 + seed, seed) for seed in range(3)]
    found: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(target=lambda seed=seed: found.update({seed: speak(stages, 20 + seed, seed)}))
        for seed in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for seed, sound in enumerate(expected):
        np.testing.assert_array_equal(found[seed], sound)


def test_a_window_longer_than_the_engine_is_refused(tiny_bundle: Path, gpu: Gpu, on_gpu: Load) -> None:
    stages = on_gpu(gpu, tiny_bundle)
    with pytest.raises(EdgevoiceError, match=r"takes 1 to .* steps at a time"):
        speak(stages, 200, chunks=Chunks(first=2000, long=2000))


def test_another_voice_s_input_is_refused(tiny_bundle: Path, gpu: Gpu, on_gpu: Load) -> None:
    stages = on_gpu(gpu, tiny_bundle)
    with pytest.raises(EdgevoiceError, match=r"takes latents of shape .* another bundle's"):
        stages.vocoder.run({"latents": np.zeros((1, 3, 8), np.float32)})


@pytest.mark.parametrize("width", [4, 16])
def test_an_input_of_another_width_is_refused(
    tiny_multispeaker_bundle: Path, gpu: Gpu, on_gpu: Load, width: int
) -> None:
    """Fewer numbers would be filled up with what lay there, more would cover what lies behind."""
    encoder = on_gpu(gpu, tiny_multispeaker_bundle).encoder
    feeds = {slot.name: np.zeros(slot.at(8), slot.dtype) for slot in encoder._inputs}  # type: ignore[attr-defined]
    wide = feeds["speaker"].shape[-1]
    encoder.run(feeds)
    with pytest.raises(EdgevoiceError, match=rf"takes speaker of shape \(1, {wide}\), not \(1, {width}\)"):
        encoder.run({**feeds, "speaker": np.ones((1, width), np.float32)})


def test_an_engine_that_takes_no_shape_of_its_own_profile_is_refused(
    tiny_bundle: Path, gpu: Gpu, monkeypatch: pytest.MonkeyPatch
) -> None:
    trt = Tensorrt(gpu)
    plans = make_plans(trt, tiny_bundle)
    monkeypatch.setattr(IExecutionContext, "set_input_shape", lambda *_: False)
    with pytest.raises(EdgevoiceError, match=r"the encoder's engine lacks phonemes of \(1, .*build it again"):
        engines.load(trt, CudaPython(Cudart(gpu)), plans)
    gc.collect()
    assert gpu.held == 0


@pytest.mark.parametrize("growth", [2, 4])
def test_windows_of_all_chunk_lengths_fit(growth: int, tiny_bundle: Path) -> None:
    """Every length that `Stages.speak` asks for lies in the engine's profiles."""
    stages = on_cpu(tiny_bundle)
    chunks = replace(stages.manifest.chunks, first=6, growth=growth)
    stages = Stages(replace(stages.manifest, chunks=chunks), stages.encoder, stages.acoustic, stages.vocoder)
    asked: dict[str, set[int]] = {"acoustic": set(), "vocoder": set()}

    class Spy:
        def __init__(self, name: str) -> None:
            self.engine = getattr(stages, name)
            self.inputs, self.name = self.engine.inputs, name

        def run(self, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
            asked[self.name].add(next(iter(feeds.values())).shape[-1])
            return self.engine.run(feeds)

    spied = Stages(stages.manifest, stages.encoder, Spy("acoustic"), Spy("vocoder"))
    for ids in (1, 2, 5, 11, 30, 90):
        speak(spied, ids)
    for name, lengths in asked.items():
        wanted = shapes.of(stages.manifest)[name]
        assert max(lengths) <= wanted.most
        assert {length for _, length in wanted.fixed} <= lengths, "what is kept ready is asked for"
        assert len(wanted.fixed) > 2, "the chunks that grow are kept ready too"
