"""Engines ahead of time for a target's GPU, beside the ONNX files that they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import msgspec
import onnx

from calibration.census import explicit_int8
from compress import rtx
from compress.rtx.build import build
from compress.rtx.figures import Figures
from compress.workspace import Workspace
from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, Ahead, Manifest
from edgevoice.runtime.engines.tensorrt import shapes
from edgevoice.runtime.engines.tensorrt.build import Order
from edgevoice.runtime.engines.tensorrt.prepare import readable
from targets import Target
from targets.render import mib

PACKAGE = "tensorrt-rtx-cu12"

Say = Callable[[str], None]


def check(target: Target) -> str:
    """The compute capability to build for; raises `EdgevoiceError` for a target that this cannot serve."""
    if target.kind == "jetson":
        raise EdgevoiceError(
            f"--engines rtx is for cards, and TensorRT for RTX does not build for {target.name}: "
            "leave it out, the board builds its own engines from the bundle's ONNX files"
        )
    if target.engine != "tensorrt" or target.rtx_stand_in is None:
        raise EdgevoiceError(
            f"--engines rtx cannot serve {target.name}: choose a card whose profile names 'rtx_stand_in', or "
            "leave it out"
        )
    rtx.require()
    return target.rtx_stand_in


def add(
    made: Manifest, files: Mapping[str, Path], target: Target, work: Workspace, say: Say
) -> tuple[Manifest, dict[str, Path]]:
    """The manifest and the files with an engine for each file that a device would build one of.

    The estimates of working memory give way to the builds' own figures. Raises `EdgevoiceError` with
    TensorRT's reason; nothing is written then.
    """
    capability = check(target)
    engines, every, stages = [], dict(files), dict(made.stages)
    for stage in STAGES:
        profiles = shapes.of(made)[stage].profiles
        variants = []
        for variant in made.stages[stage].variants:
            if variant not in readable(made, stage):
                variants.append(variant)
                continue
            source = files[variant.file]
            order = Order(source, profiles, target.workspace_bytes, target.aux_streams, (capability,),
                          variant.precision == "int8")  # fmt: skip
            name = f"{Path(variant.file).stem}.sm{capability.replace('.', '')}.plan"
            path, figures = _built(order, name, work)
            say(f"{name}: {_said(figures, source)}")
            lengths = [(steps.least, steps.best, steps.most) for steps in profiles]
            builder = f"{rtx.LIBRARY} {version(PACKAGE)}"
            engines.append(Ahead(name, variant.file, bundle.sha256(source), builder, capability, lengths))
            every[name] = path
            variants.append(msgspec.structs.replace(variant, arena_bytes=figures.activation_bytes))
        stages[stage] = msgspec.structs.replace(made.stages[stage], variants=variants)
    return msgspec.structs.replace(made, stages=stages, engines=engines), every


def _built(order: Order, name: str, work: Workspace) -> tuple[Path, Figures]:
    key = [bundle.sha256(order.onnx), version(PACKAGE), {**asdict(order), "onnx": ""}]
    path, note = work.noted(name, key, lambda path: asdict(build(order, path)))
    assert path is not None
    return path, Figures(**{**note, "int8": tuple(note["int8"])})


def _said(figures: Figures, source: Path) -> str:
    asked = explicit_int8(onnx.load(str(source)))
    runs = f", {len(asked) - len(figures.missing(asked))} of {len(asked)} layers in INT8" if asked else ""
    return f"weights {mib(figures.weights_bytes)}, working memory {mib(figures.activation_bytes)}{runs}"
