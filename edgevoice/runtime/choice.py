"""Which engine runs which of a bundle's files here, in words."""

from __future__ import annotations

from edgevoice.manifest import STAGES, Manifest


def engines(manifest: Manifest) -> str:
    """What runs: "encoder FP32, acoustic FP32, vocoder INT8 by ONNX Runtime on the CPU"."""
    stages = ", ".join(f"{stage} {manifest.stages[stage].speaks.precision.upper()}" for stage in STAGES)
    return f"{stages} by ONNX Runtime on the CPU"


def remark(manifest: Manifest) -> str:
    """What to know of a bundle with files that this version has no engine for; empty for any other."""
    variants = [variant for stage in manifest.stages.values() for variant in stage.variants]
    waiting = sorted({variant.precision.upper() for variant in variants if variant.engine == "tensorrt"})
    if not waiting:
        return ""
    return (
        f"this version runs {engines(manifest)}: it has no engine yet for the bundle's "
        f"{' and '.join(waiting)} files, which are for TensorRT on {manifest.provenance.target}"
    )
