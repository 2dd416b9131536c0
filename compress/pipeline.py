"""`edgevoice compress`: a voice in, a checked bundle out. Reads from top to bottom."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import msgspec

from calibration.data import STATIC_INPUTS, require_sound
from calibration.gate import judge as hold
from calibration.measures.compare import require
from calibration.measures.statistics import Interval
from compress import judge, teachers, variants, verify
from compress.choose import Measured, for_cpu, for_tensorrt
from compress.corpus import Corpus, choose
from compress.draft import Draft, Spoken, fp32_name, prepare, speak
from compress.footprint import arena_bytes
from compress.recipe import Recipe
from compress.workspace import Workspace
from edgevoice import budget, bundle, manifest
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, StageName
from edgevoice.progress import track
from edgevoice.runtime.engines.onnx import OnnxEngine
from targets import Plan, Target, host

CALIBRATION_SEED, JUDGING_SEED, SEARCHING_SEED = 1, 2, 3

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """A finished run: the bundle, every variant that was measured, and the plan on the target."""

    bundle: bundle.Bundle
    measured: Mapping[StageName, Sequence[Measured]]
    plan: Plan
    exactness: float
    """Largest difference of the FP32 stages' waveform from the voice's own file, same noise."""


def compress(
    voice: Path,
    target: Target,
    recipe: Recipe,
    out: Path,
    texts: Path | None = None,
    allow_worse: bool = False,
    say: Say = lambda _: None,
) -> Result:
    """Make a bundle of ``voice`` for ``target`` at ``out``; results on the way are kept and used again.

    Raises `EdgevoiceError` for a voice, text or folder that will not do, a bundle that does not fit the
    target, and, unless ``allow_worse``, one that fails the recipe's gate.
    """
    bundle.refuse_foreign(out)
    require(recipe.judge.measures)
    place = out.resolve()
    work = Workspace(place.with_name(f".{place.name}.work"), _versions())
    say(f"reading {voice.name}")
    staged = teachers.read(voice)
    draft = prepare(staged, recipe, work)
    corpus = choose(draft, recipe, texts)
    key = [draft.identity, corpus.judging]
    exactness = work.data("exactness.json", key, lambda: verify.against_file(draft, list(corpus.judging[:3])))
    say(f"three stages, equal to the voice's own file within {exactness:.1e}")
    spoken = speak(draft, corpus.judging, JUDGING_SEED)
    measured = _measure(draft, recipe, target, corpus, spoken, work, key)
    decide = for_tensorrt if target.engine == "tensorrt" else for_cpu
    chosen = {stage: decide(rows[0], rows[1:]) for stage, rows in measured.items()}
    if target.engine == "tensorrt":  # the device chooses by time alone
        measured = {stage: [row for row in rows if not row.refused] for stage, rows in measured.items()}
    figures = _whole(
        draft, spoken, {stage: choice for stage, (choice, _) in chosen.items()}, recipe, work, key
    )
    verdict = hold(recipe.thresholds(), figures)
    if not verdict.passed and not allow_worse:
        raise EdgevoiceError(
            f"the voice did not survive: {'; '.join(verdict.reasons)} (--allow-worse writes it)"
        )
    arenas = {stage: _arena(draft, stage, choice, spoken, work) for stage, (choice, _) in chosen.items()}
    made = manifest.Manifest(
        schema=manifest.SCHEMA,
        voice=draft.voice(),
        text=staged.text,
        durations=staged.durations,
        chunks=draft.chunks,
        stages={
            stage: _stage(draft, stage, measured[stage], *chosen[stage], arenas[stage]) for stage in STAGES
        },
        files={},
        provenance=_provenance(staged.sha256, recipe, target, exactness),
        spectrum=staged.spectrum,
        phase=staged.phase,
        calibration=_calibration(corpus, recipe),
        quality={name: _figure(figure, "FP32 stages") for name, figure in figures.items()},
        failed_gate=list(verdict.reasons),
    )
    sources = _sources(draft, measured)
    sized = {name: manifest.File("", path.stat().st_size) for name, path in sources.items()}
    plan = budget.check(msgspec.structs.replace(made, files=sized), target)
    return Result(bundle.write(out, made, sources), measured, plan, exactness)


def _measure(
    draft: Draft, recipe: Recipe, target: Target, corpus: Corpus, spoken: Spoken, work: Workspace, key: object
) -> dict[StageName, list[Measured]]:
    """Each stage's FP32 file and its smaller ones, every figure against FP32."""
    material: dict[StageName, variants.Material] = {}
    rows: dict[StageName, list[Measured]] = {}
    for stage in track(STAGES, "making and measuring the stages", len(STAGES)):
        material = material or _material(draft, corpus, spoken)
        made = variants.make(draft, stage, recipe, target, material[stage], work)
        rows[stage] = _judged(draft, stage, made, spoken, recipe, work, key)
    return rows


def _material(draft: Draft, corpus: Corpus, spoken: Spoken) -> dict[StageName, variants.Material]:
    if not corpus.calibration:
        return {stage: variants.Material(spoken.sentences, spoken.feeds[stage], spoken) for stage in STAGES}
    calibration = speak(draft, corpus.calibration, CALIBRATION_SEED)
    require_sound(calibration.sounds, draft.staged.sample_rate)
    searching = speak(draft, corpus.searching, SEARCHING_SEED)
    return {
        stage: variants.Material(corpus.calibration, calibration.feeds[stage], searching) for stage in STAGES
    }


def _judged(
    draft: Draft,
    stage: StageName,
    made: Sequence[variants.Made],
    spoken: Spoken,
    recipe: Recipe,
    work: Workspace,
    key: object,
) -> list[Measured]:
    files = [draft.path(stage)] + [row.path for row in made if row.path is not None]
    seconds = [len(sound) / draft.staged.sample_rate for sound in spoken.sounds]
    times = work.data(
        f"{stage}.times.json",
        [key, [bundle.sha256(path) for path in files]],
        lambda: judge.milliseconds(files, spoken.feeds[stage], seconds),
    )
    rows = [Measured(files[0], manifest.Variant(files[0].name, "fp32", milliseconds=times[0]), {})]
    whole = [row for row in made if row.path is not None]
    for row, path, spent in zip(whole, files[1:], times[1:], strict=True):
        figures = _quality(draft, spoken, {stage: path}, recipe, work, f"{path.name}.quality.json", key)
        verdict = hold(recipe.thresholds(), figures)
        variant = manifest.Variant(
            path.name,
            row.precision,
            "tensorrt" if row.engine == "tensorrt" else "onnxruntime",
            milliseconds=spent if row.engine == "onnxruntime" else None,
            quality={name: _figure(figure, "FP32") for name, figure in figures.items()},
            int8_operators=dict(row.operators),
            left_out=dict(row.left),
        )
        rows.append(Measured(path, variant, figures, "; ".join(verdict.reasons)))
    rows += [Measured(None, manifest.Variant("", r.precision), {}, r.refused) for r in made if r.path is None]
    return rows


def _quality(
    draft: Draft,
    spoken: Spoken,
    files: Mapping[StageName, Path],
    recipe: Recipe,
    work: Workspace,
    name: str,
    key: object,
) -> dict[str, Interval]:
    groups = list(dict.fromkeys(["spectral", *recipe.judge.measures]))

    def compared() -> object:
        engines = {stage: OnnxEngine(path, 1) for stage, path in files.items()}
        return {n: f.json() for n, f in judge.quality(draft, spoken, engines, groups).items()}

    made_of = [key, groups, {stage: bundle.sha256(path) for stage, path in files.items()}]
    return {n: Interval(**figure) for n, figure in work.data(name, made_of, compared).items()}


def _whole(
    draft: Draft,
    spoken: Spoken,
    chosen: Mapping[StageName, Measured],
    recipe: Recipe,
    work: Workspace,
    key: object,
) -> dict[str, Interval]:
    """The voice as it will speak: all chosen files together."""
    files = {stage: row.path for stage, row in chosen.items() if row.variant.precision != "fp32" and row.path}
    if not files:
        return {}
    return _quality(draft, spoken, files, recipe, work, "whole.quality.json", key)


def _arena(draft: Draft, stage: StageName, chosen: Measured, spoken: Spoken, work: Workspace) -> int:
    """At the longest chunk with its context; the encoder on the longest sentence judged."""
    steps = "phonemes" if stage == "encoder" else "frames" if stage == "acoustic" else "latents"
    feeds = max(spoken.feeds[stage], key=lambda row: row[steps].shape[-1])
    if stage != "encoder":
        frames = draft.chunks.long + 2 * draft.staged.stages[stage].context
        feeds = {
            name: values if name in STATIC_INPUTS else values[..., :1].repeat(frames, -1)
            for name, values in feeds.items()
        }
    path = chosen.path
    assert path is not None
    key = [bundle.sha256(path), {name: values.shape for name, values in feeds.items()}]
    return int(work.data(f"{stage}.arena.json", key, lambda: arena_bytes(path, feeds)))


def _stage(
    draft: Draft, stage: StageName, rows: Sequence[Measured], chosen: Measured, reason: str, arena: int
) -> manifest.Stage:
    files = [row.variant for row in rows if row.path is not None]
    described = draft.stage(stage, files, chosen.variant.file, reason)
    return msgspec.structs.replace(described, arena_bytes=arena)


def _figure(figure: Interval, against: str) -> manifest.Measure:
    return manifest.Measure(figure.mean, figure.low, figure.high, figure.count, against)


def _calibration(corpus: Corpus, recipe: Recipe) -> manifest.Calibration | None:
    record = corpus.record
    if record is None or recipe.quantize is None:
        return None
    return manifest.Calibration(
        len(corpus.calibration), record.sha256, recipe.quantize.method, dict(record.coverage)
    )


def _provenance(teacher: str, recipe: Recipe, target: Target, exactness: float) -> manifest.Provenance:
    machine = host.read()
    return manifest.Provenance(
        teacher=teacher,
        recipe=recipe.name,
        recipe_sha256=recipe.sha256(),
        target=target.id,
        host=f"{machine.cpu.model}, {machine.machine}",
        versions=_versions(),
        notes=[f"the FP32 stages equal the teacher's file within {exactness:.1e} at the same noise"],
    )


def _versions() -> dict[str, str]:
    packages = ("edgevoice", "onnx", "onnxruntime", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def _sources(draft: Draft, measured: Mapping[StageName, Sequence[Measured]]) -> dict[str, Path]:
    stages = {row.path.name: row.path for rows in measured.values() for row in rows if row.path is not None}
    tables = {name: path for name, path in draft.files.items() if name not in map(fp32_name, STAGES)}
    return {**stages, **tables}
