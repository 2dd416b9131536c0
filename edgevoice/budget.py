"""What a bundle occupies on a target, from what its manifest says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import PRECISIONS, STAGES, Manifest, StageName, Variant
from edgevoice.options import Wish
from edgevoice.runtime import choice
from targets import Plan, StageCost, Target, plan

FLOAT_BYTES = 4
_READ = frozenset({"weights", "arena", "buffers"})


def of(
    manifest: Manifest,
    target: Target,
    available_bytes: int | None = None,
    stages: Sequence[StageName] = STAGES,
    wish: Wish = "",
) -> Plan:
    """The plan of the bundle's files on ``target``, or of some ``stages`` of them.

    Of a bundle of which TensorRT runs nothing, by ONNX Runtime on the target's CPU. ``wish``: the engine that
    is asked for, or that is about to be used.
    """
    target = spoken_on(manifest, target, wish)
    return plan(
        _costs(manifest, target, {name: pick(name, manifest, target) for name in stages}),
        target,
        available_bytes=available_bytes,
        alternatives=_alternatives(manifest, target, {name: pick(name, manifest, target) for name in STAGES}),
        chunk_frames=manifest.chunks.long,
    )


def spoken_on(manifest: Manifest, target: Target, wish: Wish = "") -> Target:
    """``target`` as the bundle uses it: by ONNX Runtime where it holds nothing that was made for TensorRT,
    unless that is wished for and could run all of it."""
    asked = wish == "tensorrt" and not choice.without_tensorrt(manifest)
    if target.engine == "onnxruntime" or choice.for_gpu(manifest) or asked:
        return target
    return replace(target, engine="onnxruntime", runtime_bytes=None)


def on_cpu(manifest: Manifest, target: Target, wish: Wish = "") -> str:
    """What to tell who plans a voice for a GPU that it leaves alone; empty where it uses it."""
    if spoken_on(manifest, target, wish) == target:
        return ""
    told = f"this bundle has {_lacks(manifest)}, so {target.name} speaks it on its CPU"
    if not target.shared_memory:
        told += " (and in its host's memory, of which this plan knows nothing)"
    if manifest.provenance.target == target.id:
        return f"{told}: what was tried for TensorRT was refused, and the manifest says why"
    return f"{told}; for its GPU: `edgevoice compress VOICE --target {target.id} -o DIR`"


def _lacks(manifest: Manifest) -> str:
    missing = choice.without_tensorrt(manifest)
    if not missing:
        return "FP32 files alone, which TensorRT reads only where `--require tensorrt` asks for it"
    return f"no file of the stage{'s' if len(missing) > 1 else ''} {', '.join(missing)} for TensorRT"


def _costs(manifest: Manifest, target: Target, files: dict[StageName, Variant]) -> list[StageCost]:
    by_ort = target.engine == "onnxruntime"
    return [
        _cost(name, variant, manifest, by_ort or variant.engine == "onnxruntime")
        for name, variant in files.items()
    ]


def _alternatives(
    manifest: Manifest, target: Target, files: dict[StageName, Variant]
) -> dict[str, list[StageCost]]:
    """The bundle's other files than ``files``, where the device could take them for its engine instead."""
    found = {}
    for precision in PRECISIONS if target.engine == "tensorrt" else ():
        others = {
            name: variant
            for name in STAGES
            for variant in choice.for_tensorrt(manifest, name)
            if variant.precision == precision
        }
        if any(files[name] != variant for name, variant in others.items()):
            found[f"the bundle's {precision.upper()} files"] = _costs(manifest, target, {**files, **others})
    return found


def check(manifest: Manifest, target: Target, available_bytes: int | None = None) -> Plan:
    """Like `of`, but a bundle that does not fit is an `EdgevoiceError` with the numbers."""
    made = of(manifest, target, available_bytes)
    refusal = made.refusal()
    if refusal:
        raise EdgevoiceError(refusal)
    return made


def measured(
    manifest: Manifest,
    target: Target,
    files: Mapping[StageName, str],
    taken_bytes: int,
    arena_bytes: int,
    buffer_bytes: int,
    context_bytes: int | None = 0,
) -> Plan:
    """The plan with what was read on the device in place of the estimates.

    ``files``: those of the stages that TensorRT runs; ``taken_bytes``: by how much the free memory fell, of
    which the shared arena and the buffers are known; what the weights do not explain is the runtime's, beside
    ``context_bytes`` that it had before: None if that is not known, and then an estimate stands for it.
    Stages that ONNX Runtime runs count where the GPU has no memory of its own.
    """
    costs: list[StageCost] = []
    used = {name: stage.speaks for name, stage in manifest.stages.items()}
    used |= {n: next(v for v in manifest.stages[n].variants if v.file == file) for n, file in files.items()}
    needs = {name: _cost(name, used[name], manifest, False).arena_bytes for name in files}
    largest = max(needs, key=lambda name: needs[name])  # the arena is its; a shorter chunk may shrink it
    for name, file in files.items():
        buffers = 0 if costs else buffer_bytes  # one block of buffers for all: counted once
        weights = manifest.files[file].bytes
        arena = arena_bytes if name == largest else min(needs[name], arena_bytes)
        costs.append(StageCost(name, used[name].precision, weights, arena, buffers, _READ, "tensorrt"))
    parts = sum(cost.weights_bytes for cost in costs) + arena_bytes + buffer_bytes
    if target.shared_memory:
        rest = [name for name in STAGES if name not in files]
        costs += [_cost(name, manifest.stages[name].speaks, manifest, True) for name in rest]
    rest_bytes = max(0, taken_bytes - parts)
    return plan(
        costs,
        target,
        runtime_bytes=None if context_bytes is None else context_bytes + rest_bytes,
        beside_bytes=rest_bytes if context_bytes is None else 0,
        alternatives=_alternatives(manifest, target, used),
        chunk_frames=manifest.chunks.long,
    )


def pick(name: StageName, manifest: Manifest, target: Target) -> Variant:
    """The file that counts: ONNX Runtime's choice, or the target's best precision that TensorRT reads."""
    stage = manifest.stages[name]
    readable = choice.for_tensorrt(manifest, name)
    if target.engine == "onnxruntime" or not readable:
        return stage.speaks
    order = [*target.precisions, *PRECISIONS]  # TensorRT reads FP32 too, whatever pays off there
    return min(readable, key=lambda variant: order.index(variant.precision))


def _cost(name: StageName, variant: Variant, manifest: Manifest, by_ort: bool) -> StageCost:
    """``by_ort``: by ONNX Runtime."""
    stage = manifest.stages[name]
    return StageCost(
        name,
        variant.precision,
        weights_bytes=manifest.files[variant.file].bytes,
        arena_bytes=stage.arena_bytes if by_ort or not variant.arena_bytes else variant.arena_bytes,
        buffer_bytes=_buffers(name, manifest),
        # The arena was read with ONNX Runtime: for another engine it is an estimate.
        read=frozenset({"weights", "arena"} if stage.arena_bytes and by_ort else {"weights"}),
        engine="onnxruntime" if by_ort else "tensorrt",
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
