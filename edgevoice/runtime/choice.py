"""Which engine runs which of a bundle's files: the rule, and what is said of it."""

from __future__ import annotations

from edgevoice.manifest import STAGES, Manifest, Precision, StageName, Variant
from edgevoice.options import Wish


def engines(manifest: Manifest) -> str:
    """What runs on the CPU: "encoder FP32, acoustic FP32, vocoder INT8 by ONNX Runtime on the CPU"."""
    stages = ", ".join(f"{stage} {manifest.stages[stage].speaks.precision.upper()}" for stage in STAGES)
    return f"{stages} by ONNX Runtime on the CPU"


def for_gpu(manifest: Manifest) -> bool:
    """Whether the bundle holds files that were made for TensorRT."""
    return any(v.engine == "tensorrt" for stage in manifest.stages.values() for v in stage.variants)


def for_tensorrt(manifest: Manifest, stage: StageName) -> list[Variant]:
    """The stage's files that TensorRT reads. Where there is none, ONNX Runtime runs the stage, and TensorRT
    the others of a bundle that was made for it."""
    return [v for v in manifest.stages[stage].variants if v.engine in ("any", "tensorrt")]


def for_provider(manifest: Manifest, stage: StageName) -> Variant:
    """What ONNX Runtime runs on a GPU: of TensorRT's files FP16 first and INT8, which only TensorRT runs
    fast there, last; the CPU's where there are none."""
    order: tuple[Precision, ...] = ("fp16", "fp32", "int8")
    rows = sorted(for_tensorrt(manifest, stage), key=lambda variant: order.index(variant.precision))
    return rows[0] if rows else manifest.stages[stage].speaks


def without_tensorrt(manifest: Manifest) -> list[StageName]:
    """The stages that have no such file."""
    return [stage for stage in STAGES if not for_tensorrt(manifest, stage)]


def tries_gpu(manifest: Manifest, wish: Wish) -> bool:
    """Whether the GPU is looked for: where it is asked for, and for a bundle that was made for one."""
    return wish == "tensorrt" or (not wish and for_gpu(manifest))


def fallback(manifest: Manifest, reason: str) -> str:
    """What to tell who has a voice for a GPU that speaks on the CPU."""
    return (
        f"this voice was made for TensorRT on {manifest.provenance.target} and speaks on the CPU here "
        f"({engines(manifest)}): {reason}"
    )
