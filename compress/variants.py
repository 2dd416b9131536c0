"""The files of each stage that a target could use, made from its FP32 file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from calibration import data
from calibration.half import fp16, scan
from calibration.quantize import quantize
from calibration.ranges import Window
from compress.draft import Draft, Feeds
from compress.recipe import Recipe
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Precision, StageName
from targets import Target

WINDOW = 40
"""Frames of a calibration window of the stages that run in chunks."""


@dataclass(frozen=True)
class Made:
    """A file beside FP32, its engine, and what of it runs in INT8; ``refused``: why there is none."""

    precision: Precision
    engine: str
    path: Path | None
    operators: Mapping[str, int]
    refused: str = ""


def make(
    draft: Draft, stage: StageName, recipe: Recipe, target: Target, feeds: Sequence[Feeds], work: Workspace
) -> list[Made]:
    """What ``target`` could run instead of FP32: INT8 on a CPU; FP16 and INT8 through TensorRT."""
    made = []
    tensorrt = target.engine == "tensorrt"
    if tensorrt and "fp16" in target.precisions:
        made.append(_half(draft, stage, feeds, work))
    if recipe.quantize is not None and stage in recipe.quantize.stages and "int8" in target.precisions:
        made.append(_int8(draft, stage, recipe, feeds, work, "tensorrt-fp16" if tensorrt else "cpu"))
    return made


def _half(draft: Draft, stage: StageName, feeds: Sequence[Feeds], work: Workspace) -> Made:
    def write(path: Path) -> None:
        single = onnx.load(str(draft.path(stage)))
        half = fp16(single)
        scan(single, half, feeds[:2])
        onnx.save(half, str(path))

    name = f"{stage}.fp16.onnx"
    try:
        return Made("fp16", "tensorrt", work.file(name, [draft.staged.sha256, name], write), {})
    except EdgevoiceError as error:
        return Made("fp16", "tensorrt", None, {}, str(error))


def _int8(
    draft: Draft, stage: StageName, recipe: Recipe, feeds: Sequence[Feeds], work: Workspace, form: str
) -> Made:
    assert recipe.quantize is not None
    settings = recipe.quantize
    engine = "onnxruntime" if form == "cpu" else "tensorrt"
    name = f"{stage}.int8.cpu.onnx" if form == "cpu" else f"{stage}.int8.onnx"
    key = [draft.staged.sha256, name, form, settings.method, settings.sentences]
    counted: dict[str, Any] = {}

    def write(path: Path) -> None:
        plain = draft.path(stage)
        done = quantize(plain, path, _reader(stage, feeds), form=form, method=settings.method)
        counted.update(done.operators)

    try:
        path = work.file(name, key, write)
        operators = work.data(f"{name}.operators.json", key, lambda: counted)
        return Made("int8", engine, path, operators)
    except EdgevoiceError as error:
        return Made("int8", engine, None, {}, str(error))


def _reader(stage: StageName, feeds: Sequence[Feeds]) -> Sequence[Window]:
    if stage == "encoder":
        return data.whole(list(feeds))
    return data.windows(list(feeds), WINDOW)


