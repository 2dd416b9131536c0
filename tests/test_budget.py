"""Which of a bundle's files count on a target."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

import targets
from edgevoice import bench, budget, bundle
from edgevoice.manifest import File, Manifest, Variant
from targets import overhead

CPU, ORIN = targets.load("cpu"), targets.load("orin_nano_8gb")

FP32 = Variant("vocoder.fp32.onnx", "fp32")
FP16 = Variant("vocoder.fp16.onnx", "fp16", "tensorrt")
INT8 = Variant("vocoder.int8.onnx", "int8", "tensorrt")
CPU_INT8 = Variant("vocoder.int8.cpu.onnx", "int8", "onnxruntime")


@pytest.fixture
def manifest(tiny_bundle: Path) -> Manifest:
    return bundle.read(tiny_bundle).manifest


def with_files(manifest: Manifest, *variants: Variant, chosen: Variant) -> Manifest:
    vocoder = msgspec.structs.replace(manifest.stages["vocoder"], variants=[*variants], chosen=chosen.file)
    files = {variant.file: File("", 1000) for variant in variants}
    changed: Manifest = msgspec.structs.replace(
        manifest, stages={**manifest.stages, "vocoder": vocoder}, files={**manifest.files, **files}
    )
    return changed


@pytest.mark.parametrize(
    ("travelling", "chosen", "target", "counts"),
    [
        ((FP32, FP16, INT8), FP32, CPU, FP32),
        ((CPU_INT8,), CPU_INT8, CPU, CPU_INT8),
        ((FP32, INT8, FP16), FP32, ORIN, FP16),
        ((FP32, INT8), FP32, ORIN, INT8),
        ((FP32,), FP32, ORIN, FP32),
        ((CPU_INT8, FP32), CPU_INT8, ORIN, FP32),
    ],
)
def test_the_target_s_best_that_its_engine_reads(
    manifest: Manifest,
    travelling: tuple[Variant, ...],
    chosen: Variant,
    target: targets.Target,
    counts: Variant,
) -> None:
    found = with_files(manifest, *travelling, chosen=chosen)
    assert budget.pick("vocoder", found, target) == counts
    assert budget.of(found, target, wish="tensorrt").stages[-1].precision == counts.precision


def test_a_bundle_that_leaves_the_gpu_alone_is_planned_on_the_cpu_and_says_so(manifest: Manifest) -> None:
    found = with_files(manifest, CPU_INT8, chosen=CPU_INT8)
    made, on_cpu = budget.of(found, ORIN), budget.of(found, CPU)
    assert (made.total_bytes, made.budget_bytes) == (on_cpu.total_bytes, ORIN.budget_bytes)
    told = budget.on_cpu(found, ORIN)
    assert "no file of the stage vocoder for TensorRT" in told
    assert "--target orin_nano_8gb" in told
    assert not budget.on_cpu(found, CPU)


def test_fp32_alone_is_tensorrt_s_only_where_that_is_asked_for(manifest: Manifest) -> None:
    """As the runtime has it: without the wish it does not look for a GPU."""
    found = with_files(manifest, FP32, chosen=FP32)
    assert {stage.engine for stage in budget.of(found, ORIN).stages} == {"onnxruntime"}
    assert {stage.engine for stage in budget.of(found, ORIN, wish="tensorrt").stages} == {"tensorrt"}
    assert "FP32 files alone" in budget.on_cpu(found, ORIN)
    assert not budget.on_cpu(with_files(manifest, FP32, FP16, chosen=FP32), ORIN)
    read_by_ort = with_files(manifest, CPU_INT8, chosen=CPU_INT8)
    assert {stage.engine for stage in budget.of(read_by_ort, ORIN, wish="tensorrt").stages} == {"onnxruntime"}


def test_a_bundle_made_for_the_gpu_in_vain_is_not_told_to_be_made_for_it(manifest: Manifest) -> None:
    provenance = msgspec.structs.replace(manifest.provenance, target=ORIN.id)
    found = msgspec.structs.replace(with_files(manifest, CPU_INT8, chosen=CPU_INT8), provenance=provenance)
    told = budget.on_cpu(found, ORIN)
    assert "manifest says why" in told
    assert "--target" not in told


def test_a_stage_for_onnx_runtime_alone_does_not_keep_tensorrt_from_the_others(manifest: Manifest) -> None:
    found = with_files(manifest, CPU_INT8, chosen=CPU_INT8)
    acoustic = found.stages["acoustic"]
    half = Variant("acoustic.fp16.onnx", "fp16", "tensorrt", arena_bytes=5 << 20)
    acoustic = msgspec.structs.replace(acoustic, variants=[*acoustic.variants, half])
    vocoder = msgspec.structs.replace(found.stages["vocoder"], arena_bytes=7 << 20)
    found = msgspec.structs.replace(
        found,
        stages={**found.stages, "acoustic": acoustic, "vocoder": vocoder},
        files={**found.files, half.file: File("", 1000)},
    )
    plan = budget.of(found, ORIN)
    assert [cost.engine for cost in plan.stages] == ["tensorrt", "tensorrt", "onnxruntime"]
    assert budget.pick("vocoder", found, ORIN) == CPU_INT8
    assert plan.row("arena").bytes == (5 << 20) + (7 << 20)  # each engine has its own
    files = {"acoustic": half.file}
    read = budget.measured(found, ORIN, files, 50 << 20, 5 << 20, 1 << 20)
    assert read.total_bytes > (57 << 20)  # an Orin's memory is the host's too
    card = targets.load("rtx_4060_laptop")
    assert budget.measured(found, card, files, 50 << 20, 5 << 20, 1 << 20).total_bytes == 50 << 20


def test_the_plan_on_a_cpu_is_no_less_than_what_a_speaking_process_takes(tiny_bundle: Path) -> None:
    peak = bench._worker(tiny_bundle, 1, 0)["peak_mib"] * (1 << 20)
    assert peak <= budget.of(bundle.read(tiny_bundle).manifest, CPU).total_bytes <= 1.5 * peak


def test_the_bundle_s_other_files_are_what_would_fit(manifest: Manifest) -> None:
    small = msgspec.structs.replace(INT8, arena_bytes=1 << 20)
    large = msgspec.structs.replace(FP16, arena_bytes=4 << 30)
    plain = msgspec.structs.replace(FP32, arena_bytes=8 << 30)
    refused = budget.of(with_files(manifest, plain, large, small, chosen=plain), ORIN).refusal()
    assert "would fit: the bundle's INT8 files" in str(refused)


def test_an_engine_s_own_estimate_counts_on_a_gpu_alone(manifest: Manifest) -> None:
    found = with_files(manifest, msgspec.structs.replace(FP32, arena_bytes=77), chosen=FP32)
    assert budget.of(found, ORIN, wish="tensorrt").stages[-1].arena_bytes == 77
    assert budget.of(found, CPU).stages[-1].arena_bytes == manifest.stages["vocoder"].arena_bytes


def test_what_a_device_took_counts_whether_or_not_its_context_is_known(manifest: Manifest) -> None:
    card = targets.load("rtx_4060_laptop")
    files = {name: stage.chosen for name, stage in manifest.stages.items()}
    sizes = (3000 << 20, 4 << 20, 1 << 20)
    known = budget.measured(manifest, card, files, *sizes, 10 << 20)
    assert known.total_bytes == (3010 << 20)
    assert known.row("runtime").mark == "reading"
    unknown = budget.measured(manifest, card, files, *sizes, None)
    assert unknown.total_bytes == (3000 << 20) + overhead.of(card).bytes
    assert unknown.row("runtime").mark == "estimate"


def test_a_refusal_of_what_was_measured_says_what_would_fit(manifest: Manifest) -> None:
    large = msgspec.structs.replace(FP32, arena_bytes=8 << 30)
    small = msgspec.structs.replace(INT8, arena_bytes=1 << 20)
    found = with_files(manifest, large, small, chosen=large)
    files = {name: stage.chosen for name, stage in found.stages.items()}
    refused = str(budget.measured(found, ORIN, files, 9 << 30, 8 << 30, 1 << 20).refusal())
    assert "would fit: the bundle's INT8 files" in refused
    found = with_files(manifest, large, chosen=large)
    refused = str(budget.measured(found, ORIN, files, (5 << 30) + (9 << 20), 5 << 30, 1 << 20).refusal())
    assert f"half the chunk length ([chunks] long = {manifest.chunks.long // 2} in the recipe)" in refused
