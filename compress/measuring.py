"""Every smaller file of a stage made and measured against FP32, each result kept in the workspace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
import onnx

from calibration import preflight
from calibration.activations import activation_bytes
from calibration.data import STATIC_INPUTS, require_sound
from calibration.gate import Thresholds, Verdict, asks, standing
from calibration.gate import judge as hold
from calibration.measures.compare import Comparison, versions
from calibration.measures.statistics import Interval
from compress import judge, variants
from compress.choose import Measured
from compress.corpus import Corpus
from compress.draft import Draft, Spoken, speak
from compress.footprint import arena_bytes
from compress.recipe import Recipe
from compress.workspace import Workspace
from edgevoice import bundle, manifest
from edgevoice.manifest import STAGES, StageName
from edgevoice.progress import track
from edgevoice.runtime.engines import Engine
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.tensorrt import shapes
from targets import Target

CALIBRATION_SEED, SEARCHING_SEED = 1, 3

TIGHTER = 0.7
"""Of what a refused file lost, the next may lose this much: a judgement of each set takes longer than its
search."""
LEAST = 0.02
"""Nepers below which no set is looked for: another seed of noise changes joe's 0.28."""


@dataclass(frozen=True)
class Heard:
    """A voice against FP32: the figures, and what is broken in its sound that is not in FP32's."""

    figures: Mapping[str, Interval]
    broken: tuple[str, ...] = ()

    @staticmethod
    def of(
        work: Workspace,
        name: str,
        inputs: Sequence[object],
        paths: Mapping[StageName, Path],
        groups: Sequence[str],
        hear: Callable[[Mapping[StageName, Engine]], Comparison],
    ) -> Heard:
        """The voice with these files, by ``groups`` of measures, kept in ``work`` under ``name``.

        ``hear``: compares the voice that their engines make. ``inputs``: what that depends on beside the
        files and the measures.
        """
        hashes = {stage: bundle.sha256(path) for stage, path in paths.items()}

        def compared() -> Any:
            found = hear({stage: OnnxEngine(path, 1) for stage, path in paths.items()})
            return {"figures": {n: f.json() for n, f in found.figures.items()}, "broken": found.problems}

        key = [*inputs, list(groups), versions(groups), hashes]
        kept = work.data(slot(name, hashes), key, compared)
        return Heard({n: Interval(**f) for n, f in kept["figures"].items()}, tuple(kept["broken"]))


@dataclass(frozen=True)
class Measuring:
    """One run's material."""

    draft: Draft
    recipe: Recipe
    target: Target
    corpus: Corpus
    spoken: Spoken
    work: Workspace

    def stages(self) -> dict[StageName, list[Measured]]:
        """Each stage's FP32 file first, then its smaller ones."""
        rows: dict[StageName, list[Measured]] = {}
        for stage in track(STAGES, "making and measuring the stages", len(STAGES)):
            given = self.material[stage]
            made = variants.make(self.draft, stage, self.recipe, self.target, given, self.work)
            rows[stage] = self._judged(stage, made)
        return rows

    def fewer(self, stage: StageName, row: Measured, plain: Measured) -> Measured | None:
        """``row``, an INT8 file that will not do, with so few layers that it loses `TIGHTER` times as much.

        ``plain``: FP32, as it was timed beside the stage's other files: the new one's time is put on its
        scale.
        None where that cannot be: not an INT8 file, no search in the recipe, or no layer loses so little.
        """
        settings = self.recipe.quantize
        if row.lost is None or settings is None or not settings.search_seconds:
            return None
        limit = round(TIGHTER * min(row.lost, settings.limit), 3)
        if limit < LEAST:
            return None
        work = self.work.inner(f"{row.variant.file}.within.{limit}")
        settings = msgspec.structs.replace(settings, limit=limit)
        engine, given = row.variant.engine, self.material[stage]
        made = variants.fewer(self.draft, stage, settings, engine, given, work, self.work.folder)
        if made.path is None:
            return None
        again, found = replace(self, work=work)._judged(stage, [made])
        return _timed_beside(plain, again, found)

    def voice(self, files: Mapping[StageName, Path], name: str) -> Heard:
        """The voice with these files in place of FP32."""
        groups = list(dict.fromkeys(["spectral", *self.recipe.measures()]))

        def hear(engines: Mapping[StageName, Engine]) -> Comparison:
            return judge.quality(self.draft, self.spoken, engines, groups)

        return Heard.of(self.work, name, self._key(), files, groups, hear)

    def verdict(self, heard: Heard) -> Verdict:
        return hold(self.recipe.thresholds(), heard.figures)

    def arena(self, stage: StageName, path: Path) -> int:
        """At the longest chunk with its context; the encoder at the longest sentence that it is given."""
        steps = self._steps(stage)
        feeds = {
            name: values if name in STATIC_INPUTS else _stretched(values, steps)
            for name, values in self.spoken.feeds[stage][0].items()
        }
        key = [bundle.sha256(path), {name: values.shape for name, values in feeds.items()}]
        return int(self.work.data(f"{stage}.arena.json", key, lambda: arena_bytes(path, feeds)))

    def _key(self) -> list[object]:
        return self.draft.key(self.corpus.judging)

    @cached_property
    def material(self) -> dict[StageName, variants.Material]:
        """What the stages are made smaller with; unfit calibration sentences are an `EdgevoiceError`."""
        spoken, corpus = self.spoken, self.corpus
        if not corpus.calibration:
            return {s: variants.Material(spoken.sentences, spoken.feeds[s], spoken) for s in STAGES}
        calibration = speak(self.draft, corpus.calibration, CALIBRATION_SEED)
        require_sound(calibration.sounds, self.draft.staged.sample_rate)
        searching = speak(self.draft, corpus.searching, SEARCHING_SEED)
        return {s: variants.Material(corpus.calibration, calibration.feeds[s], searching) for s in STAGES}

    def _judged(self, stage: StageName, made: Sequence[variants.Made]) -> list[Measured]:
        plain = self.draft.path(stage)
        files = [plain] + [row.path for row in made if row.path is not None]
        times = dict(zip(files, self._milliseconds(stage, files), strict=True))
        fp32 = manifest.Variant(
            plain.name,
            "fp32",
            self._reader(plain),
            bytes=plain.stat().st_size,
            milliseconds=times[plain],
            arena_bytes=self._activations(stage, plain),
        )
        rows = [Measured(plain, fp32)]
        for row in made:
            if row.path is None:
                rows.append(Measured(None, manifest.Variant("", row.precision, row.engine), row.refused))
            else:
                rows.append(self._row(stage, row, row.path, times[row.path]))
        return rows

    def _reader(self, plain: Path) -> Literal["any", "onnxruntime"]:
        """Of an FP32 file, which is there as it was exported, whether or not the target's engine takes it."""
        refused = self.target.engine == "tensorrt" and preflight.check(onnx.load(str(plain)))
        return "onnxruntime" if refused else "any"

    def _milliseconds(self, stage: StageName, files: Sequence[Path]) -> list[float]:
        seconds = [len(sound) / self.draft.staged.sample_rate for sound in self.spoken.sounds]
        key = [*self._key(), [bundle.sha256(path) for path in files]]
        feeds = self.spoken.feeds[stage]
        times = self.work.data(f"{stage}.times.json", key, lambda: judge.milliseconds(files, feeds, seconds))
        return [float(spent) for spent in times]

    def _row(self, stage: StageName, made: variants.Made, path: Path, spent: float) -> Measured:
        heard = self.voice({stage: path}, path.name)
        on_cpu = made.engine == "onnxruntime"
        variant = manifest.Variant(
            path.name,
            made.precision,
            made.engine,
            bytes=path.stat().st_size,
            milliseconds=spent if on_cpu else None,
            quality=measures(heard.figures, "FP32", self.recipe.thresholds()),
            int8_operators=dict(made.operators),
            left_out=dict(made.left),
            unmeasured=list(made.unmeasured),
            arena_bytes=0 if on_cpu else self._activations(stage, path),
        )
        refused = "; ".join([*self.verdict(heard).reasons, *heard.broken])
        return Measured(path, variant, refused, made.searched, made.lost)

    def _activations(self, stage: StageName, path: Path) -> int:
        """Of an engine's; 0 for a target that runs none."""
        if self.target.engine != "tensorrt":
            return 0
        key = [bundle.sha256(path), self._steps(stage)]
        return int(
            self.work.data(
                f"{path.name}.activations.json",
                key,
                lambda: activation_bytes(onnx.load(str(path)), self._steps(stage)),
            )
        )

    def _steps(self, stage: StageName) -> int:
        """The longest that a stage is given at a time."""
        return shapes.of(self.draft.described())[stage].most


def _timed_beside(plain: Measured, again: Measured, found: Measured) -> Measured:
    """``found``, which was timed in turn with ``again``, as if it had been with ``plain``, the same file: the
    machine may have been busier or slower then."""
    spent, before, now = (row.variant.milliseconds for row in (found, plain, again))
    if spent is None or not before or not now:
        return found
    return replace(found, variant=msgspec.structs.replace(found.variant, milliseconds=spent * before / now))


def slot(name: str, hashes: Mapping[StageName, str]) -> str:
    """A name in the workspace for each set of files: a search through several keeps them all."""
    digest = hashlib.sha256(json.dumps(sorted(hashes.items())).encode()).hexdigest()
    return f"{name}.{digest[:8]}.quality.json"


def measures(
    figures: Mapping[str, Interval], against: str, gate: Thresholds | None = None
) -> dict[str, manifest.Measure]:
    """Figures as the manifest holds them; ``gate``: what is asked of them."""
    return {name: _measure(name, figure, against, gate) for name, figure in figures.items()}


def _measure(name: str, figure: Interval, against: str, gate: Thresholds | None) -> manifest.Measure:
    plain = (figure.mean, figure.low, figure.high, figure.count, against)
    if gate is None:
        return manifest.Measure(*plain)
    return manifest.Measure(*plain, asks(gate, name), standing(gate, name, figure))


def _stretched(values: np.ndarray[Any, Any], steps: int) -> np.ndarray[Any, Any]:
    """``values`` repeated on their last axis to ``steps``."""
    times = -(-steps // values.shape[-1])
    return np.ascontiguousarray(np.concatenate([values] * times, axis=-1)[..., :steps])
