"""What a bundle occupies on a target, from what its manifest says."""

from __future__ import annotations

from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, Manifest, Stage, StageName, Variant
from targets import Plan, StageCost, Target, plan

FLOAT_BYTES = 4


def of(manifest: Manifest, target: Target, available_bytes: int | None = None) -> Plan:
    """The plan of the bundle's files on ``target``."""
    costs = [
        _cost(name, pick(manifest.stages[name], target), manifest, target.engine == "onnxruntime")
        for name in STAGES
    ]
    return plan(costs, target, available_bytes=available_bytes)


def check(manifest: Manifest, target: Target, available_bytes: int | None = None) -> Plan:
    """Like `of`, but a bundle that does not fit is an `EdgevoiceError` with the numbers."""
    made = of(manifest, target, available_bytes)
    refusal = made.refusal()
    if refusal:
        raise EdgevoiceError(refusal)
    return made


def pick(stage: Stage, target: Target) -> Variant:
    """The file that counts: ONNX Runtime's choice, or the target's best precision that TensorRT reads."""
    if target.engine == "tensorrt":
        readable = [variant for variant in stage.variants if variant.engine in ("any", "tensorrt")]
        for precision in target.precisions:
            for variant in readable:
                if variant.precision == precision:
                    return variant
    return next(variant for variant in stage.variants if variant.file == stage.chosen)


def _cost(name: StageName, variant: Variant, manifest: Manifest, readable: bool) -> StageCost:
    stage = manifest.stages[name]
    return StageCost(
        name,
        variant.precision,
        weights_bytes=manifest.files[variant.file].bytes,
        arena_bytes=stage.arena_bytes,
        buffer_bytes=_buffers(name, manifest),
        # The arena was read with ONNX Runtime: for another engine it is an estimate.
        read=frozenset({"weights", "arena"} if stage.arena_bytes and readable else {"weights"}),
    )


def _buffers(name: str, manifest: Manifest) -> int:
    """The host's copy of what a stage is given and gives, at the long chunk and its context."""
    stage = manifest.stages["acoustic" if name == "acoustic" else "vocoder"]
    frames = manifest.chunks.long + 2 * stage.context
    noise = manifest.stages["acoustic"].noise
    channels = noise.channels if noise else 192
    if name == "vocoder":
        return FLOAT_BYTES * frames * (channels + manifest.voice.hop)
    return FLOAT_BYTES * frames * 3 * channels
