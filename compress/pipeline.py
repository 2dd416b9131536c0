"""`edgevoice compress`: a voice in, a checked bundle out. Reads from top to bottom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from calibration import samples
from calibration.gate import Thresholds
from calibration.measures.compare import require
from compress import judge, teachers, verify
from compress.choose import Settled, settle
from compress.corpus import choose
from compress.describe import made_by, manifest_of, sources
from compress.draft import prepare, speak
from compress.measuring import Measuring
from compress.recipe import Recipe
from compress.workspace import Workspace
from edgevoice import budget, bundle, manifest
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.onnx import OnnxEngine
from targets import Plan, Target

JUDGING_SEED = 2

KEPT_SAMPLES = 3

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """A finished run: the bundle and its plan on the target.

    ``exactness``: largest difference of the FP32 stages' waveform from the voice's own file, same noise;
    ``chunked``: of a run in chunks from a whole run. ``seeds_apart``: `judge.seeds_apart`, the scale of the
    log-mel distances. ``gate``: what the recipe asks of the voice.
    """

    bundle: bundle.Bundle
    plan: Plan
    exactness: float
    chunked: float
    seeds_apart: float
    gate: Thresholds


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
    work = Workspace(place.with_name(f".{place.name}.work"), made_by())
    say(f"reading {voice.name}")
    draft = prepare(teachers.read(voice), recipe, work)
    corpus = choose(draft, recipe, texts)
    spoken = speak(draft, corpus.judging, JUDGING_SEED)
    run = Measuring(draft, recipe, target, corpus, spoken, work)
    exactness, chunked = _verified(run)
    said = verify.within(exactness), verify.within(chunked)
    say(f"three stages, equal to the voice's own file {said[0]}; in chunks equal to a whole run {said[1]}")
    settled = settle(run, run.stages())
    if settled.failed and not allow_worse:
        raise EdgevoiceError(
            f"the voice did not survive: {'; '.join(settled.failed)} (--allow-worse writes it)"
        )
    made = manifest_of(run, settled, exactness)
    files = sources(draft, settled.choices)
    sized = {name: manifest.File("", path.stat().st_size) for name, path in files.items()}
    plan = budget.check(msgspec.structs.replace(made, files=sized), target)
    written = bundle.write(out, made, files)
    _keep_samples(run, settled, written)
    apart = run.work.data("seeds.json", _judged_on(run), lambda: judge.seeds_apart(draft, spoken))
    return Result(written, plan, exactness, chunked, float(apart), recipe.thresholds())


def _verified(run: Measuring) -> tuple[float, float]:
    """The cut is checked on three sentences, the chunks on one."""
    key = _judged_on(run)
    exactness = run.work.data(
        "exactness.json", key, lambda: verify.against_file(run.draft, list(run.corpus.judging[:3]))
    )
    chunked = run.work.data("chunked.json", key, lambda: verify.in_chunks(run.draft, run.spoken))
    return float(exactness), float(chunked)


def _judged_on(run: Measuring) -> list[object]:
    return [run.draft.identity, run.corpus.judging]


def _keep_samples(run: Measuring, settled: Settled, written: bundle.Bundle) -> None:
    """A few judged sentences beside the bundle, for `edgevoice report`."""
    chosen = {stage: choice.chosen.path for stage, choice in settled.choices.items()}
    engines = {stage: OnnxEngine(path, 1) for stage, path in chosen.items() if path}
    heard = judge.heard(run.draft, run.spoken, engines)[:KEPT_SAMPLES]
    sounds = {samples.REFERENCE: run.spoken.sounds[:KEPT_SAMPLES], samples.CHOSEN: heard}
    texts = run.spoken.sentences[:KEPT_SAMPLES]
    command = f"edgevoice compress --target {run.target.id} --recipe {run.recipe.name}"
    samples.keep(written.path, samples.Samples(run.draft.staged.sample_rate, texts, sounds, {}, command))
