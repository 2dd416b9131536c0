"""A student against its teacher: its sound at the teacher's durations and noise, and how fast it is."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.gate import Verdict, groups_asked
from calibration.gate import judge as hold
from calibration.measures.compare import Comparison, available
from calibration.measures.statistics import Interval, mean
from calibration.samples import CHOSEN, TEACHER
from compress import judge
from compress.draft import Draft, Float, Spoken, speak
from compress.measuring import Heard, Measuring, measures
from edgevoice import bundle, manifest
from edgevoice.manifest import STAGES, StageName
from edgevoice.runtime.engines import Engine
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.synthesis import Stages

SEED = 4
ROUNDS = 5
TIMED = 5
"""Sentences that both are timed on."""


@dataclass(frozen=True)
class Against:
    """One run's student (``run.draft``) and its teacher."""

    run: Measuring
    teacher: Draft

    def heard(self, files: Mapping[StageName, Path], name: str) -> Heard:
        """The student with ``files`` in place of its FP32 ones, against the teacher."""
        groups = self._groups()

        def hear(engines: Mapping[StageName, Engine]) -> Comparison:
            return judge.quality(self.run.draft, self.spoken, engines, groups)

        inputs = self._key(self.run.corpus.against)
        return Heard.of(self.run.work, f"teacher.{name}", inputs, self._paths(files), groups, hear)

    def reasons(self, files: Mapping[StageName, Path]) -> tuple[str, ...]:
        """Why the student with these files is refused; empty where it passes."""
        heard = self.heard(files, "shipped" if files else "student")
        return (*self.verdict(heard).reasons, *heard.broken)

    def verdict(self, heard: Heard) -> Verdict:
        return hold(self.run.recipe.student_thresholds(), heard.figures)

    def described(
        self, files: Mapping[StageName, Path], spoken: Mapping[StageName, Path]
    ) -> manifest.AgainstTeacher:
        """What the manifest says, for a bundle of these files where they replace FP32.

        ``spoken``: those that ONNX Runtime speaks with, which are timed.
        """
        return manifest.AgainstTeacher(
            student=self._figures(self.heard({}, "student")),
            shipped=self._figures(self.heard(files, "shipped" if files else "student")),
            speed=self._speed(spoken),
        )

    def _figures(self, heard: Heard) -> dict[str, manifest.Measure]:
        return measures(heard.figures, "teacher", self.run.recipe.student_thresholds())

    @cached_property
    def spoken(self) -> Spoken:
        return speak(self.teacher, self.run.corpus.against, SEED)

    def samples(
        self, files: Mapping[StageName, Path], count: int
    ) -> tuple[tuple[str, ...], dict[str, list[Float]]]:
        """The first sentences, and how teacher, student and the student with these files say them."""
        few = speak(self.teacher, self.run.corpus.against[:count], SEED)
        student, chosen = (judge.heard(self.run.draft, few, _engines(self._paths(f))) for f in ({}, files))
        return few.sentences, {TEACHER: few.sounds, "student": student, CHOSEN: chosen}

    def _paths(self, files: Mapping[StageName, Path]) -> dict[StageName, Path]:
        return {stage: files.get(stage, self.run.draft.path(stage)) for stage in STAGES}

    def _key(self, sentences: Sequence[str]) -> list[object]:
        return [self.run.draft.identity, *self.teacher.key(sentences)]

    def _groups(self) -> list[str]:
        recipe, ready = self.run.recipe, available(self.teacher.staged.language)
        asked = (group for group in groups_asked(recipe.student_gate) if group in ready)
        return list(dict.fromkeys(["spectral", *recipe.judge.measures, *asked]))

    def _speed(self, files: Mapping[StageName, Path]) -> dict[str, manifest.Measure]:
        paths = self._paths(files)
        sentences = self.run.corpus.against[:TIMED]
        hashes = {stage: bundle.sha256(path) for stage, path in paths.items()}
        key = [*self._key(sentences), hashes]

        def timed() -> Any:
            rows = real_time_factors(self.teacher, self.run.draft, _engines(paths), sentences)
            ratios = [theirs / ours for theirs, ours in rows]
            columns = {"teacher": [r[0] for r in rows], "student": [r[1] for r in rows]}
            return {n: mean(row).json() for n, row in {**columns, "teacher_by_student": ratios}.items()}

        found = self.run.work.data("teacher.speed.json", key, timed)
        return measures({name: Interval(**figure) for name, figure in found.items()}, "")


def _engines(paths: Mapping[StageName, Path]) -> dict[StageName, OnnxEngine]:
    return {stage: OnnxEngine(path, 1) for stage, path in paths.items()}


def real_time_factors(
    teacher: Draft, student: Draft, engines: Mapping[StageName, OnnxEngine], sentences: Sequence[str]
) -> list[tuple[float, float]]:
    """CPU seconds per second of sound, teacher's and student's, of each sentence: medians of rounds in turn.

    Whole chains in chunks, as a device runs them, with what the host does between; phonemes are not counted.
    """
    pair = (teacher.stages(), student.stages(engines))
    rows = []
    for number, ids in enumerate(teacher.ids(sentences)):
        spent: list[list[float]] = [[], []]
        for _ in range(ROUNDS + 1):
            for side, stages in enumerate(pair):
                spent[side].append(_factor(stages, ids, number, teacher.conditions(number, len(ids))))
        rows.append((median(spent[0][1:]), median(spent[1][1:])))
    return rows


def _factor(
    stages: Stages, ids: npt.NDArray[np.int64], number: int, conditions: Mapping[str, Float]
) -> float:
    rng = np.random.default_rng([SEED, number])
    start = time.thread_time()
    samples = sum(len(chunk) for chunk in stages.speak(ids, rng, conditions))
    return (time.thread_time() - start) * stages.manifest.voice.sample_rate / samples
