"""The files of each stage that a target could use, made from its FP32 file."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx

from calibration import data, preflight
from calibration.atomic import CannotWrite
from calibration.graph import leading_only_to
from calibration.groups import groups
from calibration.half import fp16, scan
from calibration.measures.spectral import mean_log_mel_l1
from calibration.quantize import measure_ranges, prepare, quantisable, quantize, without_range
from calibration.ranges import Histogram
from calibration.sensitivity import Sensitivity, search
from compress import judge
from compress.draft import Draft, Feeds, Float, Spoken
from compress.recipe import Quantize, Recipe
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Precision, StageName
from edgevoice.runtime.engines.onnx import OnnxEngine
from targets import Target

WINDOW = 40
"""Frames of a calibration window of the stages that run in chunks."""


@dataclass(frozen=True)
class Made:
    """A file beside FP32, its engine, and what of it runs in INT8; ``refused``: why there is none.

    ``left``: layers that stayed in floating point, with the log-mel L1 each lost alone (None: kept on
    purpose, or without a range because what goes through never changed). ``unmeasured``: those that the
    search's time did not reach. ``searched``: `Sensitivity.json` of the search, where there was one.
    ``lost``: mean log-mel L1 on the search's sentences, of INT8 files.
    """

    precision: Precision
    engine: Literal["onnxruntime", "tensorrt"]
    path: Path | None
    operators: Mapping[str, int]
    left: Mapping[str, float | None]
    refused: str = ""
    unmeasured: Sequence[str] = ()
    searched: Mapping[str, Any] | None = None
    lost: float | None = None


@dataclass(frozen=True)
class Material:
    """What a stage is made smaller with: its inputs on calibration sentences, and others to search on."""

    sentences: Sequence[str]
    feeds: Sequence[Feeds]
    searching: Spoken


def make(
    draft: Draft, stage: StageName, recipe: Recipe, target: Target, material: Material, work: Workspace
) -> list[Made]:
    """What ``target`` could run instead of FP32: INT8 on a CPU; FP16 and INT8 through TensorRT.

    A target with TensorRT gets the CPU's file too, for where TensorRT cannot be used.
    """
    made = []
    tensorrt = target.engine == "tensorrt"
    if tensorrt and "fp16" in target.precisions:
        made.append(_half(draft, stage, material.feeds, work))
    if recipe.quantize is not None and stage in recipe.quantize.stages and "int8" in target.precisions:
        for form in ("cpu", "tensorrt-fp16") if tensorrt else ("cpu",):
            made.append(_Int8(draft, stage, recipe.quantize, material, work, form).make())
    return made


def fewer(
    draft: Draft,
    stage: StageName,
    settings: Quantize,
    engine: str,
    material: Material,
    work: Workspace,
    searches: Path,
) -> Made:
    """INT8 for one engine once more, within a tighter ``settings.limit``.

    ``searches``: the folder of the first search, whose trials are not made again.
    """
    form = "tensorrt-fp16" if engine == "tensorrt" else "cpu"
    return _Int8(draft, stage, settings, material, work, form, searches).make()


def _half(draft: Draft, stage: StageName, feeds: Sequence[Feeds], work: Workspace) -> Made:
    def write(path: Path) -> str:
        try:
            single = onnx.load(str(draft.path(stage)))
            half = fp16(single)
            scan(single, half, feeds[:2])
            preflight.require(half, name)
        except EdgevoiceError as error:
            return str(error)
        onnx.save(half, str(path))
        return ""

    name = f"{stage}.fp16.onnx"
    path, refused = work.noted(name, [draft.identity, name, _hash(feeds[:2])], write)
    return Made("fp16", "tensorrt", path, {}, {}, refused)


def _hash(feeds: Sequence[Feeds]) -> str:
    digest = hashlib.sha256()
    for feed in feeds:
        for name, values in sorted(feed.items()):
            digest.update(f"{name} {values.dtype} {values.shape} ".encode())
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


class _Int8:
    """One stage in INT8: all of it if the voice survives that, else the largest set that it does."""

    def __init__(
        self,
        draft: Draft,
        stage: StageName,
        settings: Quantize,
        material: Material,
        work: Workspace,
        form: str,
        searches: Path | None = None,
    ) -> None:
        self._draft, self._stage, self._settings, self._material = draft, stage, settings, material
        self._work, self._form, self._searches = work, form, searches or work.folder
        self._plain = draft.path(stage)
        self._name = f"{stage}.int8.cpu.onnx" if form == "cpu" else f"{stage}.int8.onnx"
        said = [draft.key(material.sentences), draft.key(material.searching.sentences)]
        self._key = [self._name, form, repr(settings), WINDOW, said]

    def make(self) -> Made:
        path, note = self._work.noted(self._name, self._key, self._write)
        return Made("int8", "onnxruntime" if self._form == "cpu" else "tensorrt", path, **note)

    def _write(self, path: Path) -> dict[str, Any]:
        """The last fields of `Made`; a refusal is a result too, for its search is not to be done twice."""
        try:
            return self._made(path)
        except CannotWrite:  # what a full disk refused is not remembered
            raise
        except EdgevoiceError as error:
            path.unlink(missing_ok=True)
            return {"operators": {}, "left": {}, "refused": self._reason(str(error), path)}

    def _reason(self, told: str, path: Path) -> str:
        """For the manifest: folders and temporary files of this machine have no place there."""
        for folder in (path.parent, self._plain.parent, Path(tempfile.gettempdir())):
            told = re.sub(rf"{re.escape(str(folder))}/(?:[^\s/:]+/)*", "", told)
        return told.replace(f".{path.name}.unchecked", path.name).replace(path.name, self._name)

    def _made(self, path: Path) -> dict[str, Any]:
        ranges = measure_ranges(self._plain, self._reader())
        timing = self._timing()
        dead = without_range(self._plain, ranges, self._form) - set(timing)
        done = self._quantize(path, ranges, timing)
        left: dict[str, float | None] = dict.fromkeys([*timing, *sorted(dead)])
        late: list[str] = []
        searched = None
        lost = self._lost(path)
        if not lost <= self._settings.limit and self._settings.search_seconds:
            found = self._search(ranges, {*timing, *dead})
            if not found.chosen:
                raise EdgevoiceError(_hopeless(lost, found))
            left |= {name: loss for name, loss in found.left.items() if loss is not None}
            late = [name for name, loss in found.left.items() if loss is None]
            searched, lost = found.json(), found.loss
            done = self._quantize(path, ranges, {*timing, *found.exclude})
        told = {"operators": done.operators, "left": left, "unmeasured": late}
        return {**told, "searched": searched, "lost": lost}

    def _quantize(self, path: Path, ranges: Mapping[str, Histogram], exclude: Collection[str] = ()) -> Any:
        method = self._settings.method
        return quantize(self._plain, path, form=self._form, method=method, exclude=exclude, histograms=ranges)

    def _search(self, ranges: Mapping[str, Histogram], without: Collection[str]) -> Sensitivity:
        return search(
            self._plain,
            self._render,
            self._draft.staged.sample_rate,
            groups(prepare(self._plain, self._form), self._reader()[0], without=without),
            ranges,
            limit=self._settings.limit,
            state=self._searches / f"{self._name}.search.json",
            seconds=self._settings.search_seconds,
            form=self._form,
            method=self._settings.method,
        )

    def _timing(self) -> list[str]:
        """Layers that make nothing but durations, which stay in floating point.

        Frames are whole, so errors of durations do not average out over a sentence: with these in INT8 joe's
        sentences were 4% shorter, and at the reference's durations nobody hears it.
        """
        if self._stage != "encoder":
            return []
        model = prepare(self._plain, self._form)
        alone = leading_only_to(model, "durations")
        return [node.name for node in quantisable(model) if node.name in alone]

    def _render(self, path: Path) -> list[Float]:
        return judge.heard(self._draft, self._material.searching, {self._stage: OnnxEngine(path, 1)})

    def _lost(self, path: Path) -> float:
        rate = self._draft.staged.sample_rate
        return mean_log_mel_l1(self._material.searching.sounds, self._render(path), rate)

    def _reader(self) -> Sequence[Feeds]:
        feeds = list(self._material.feeds)
        if self._stage == "encoder":
            return [dict(window) for window in data.whole(feeds)]
        return [dict(window) for window in data.windows(feeds, WINDOW)]


def _hopeless(lost: float, found: Sensitivity) -> str:
    measured = [entry for entry in found.ranking if entry.loss is not None]
    rest = "" if found.complete else f", of {len(found.ranking)}, when the time given to the search ran out"
    return (
        f"all in INT8 loses {lost:.2f} log-mel L1, and each of {len(measured)} layers tried alone{rest}, "
        f"more than {found.limit:g}"
    )
