"""`edgevoice compress`: a voice in, a checked bundle out. Reads from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from calibration import samples
from calibration.atomic import CannotWrite
from calibration.measures.compare import require
from compress import judge, teachers, verify
from compress.against import Against
from compress.choose import Settled, settle
from compress.corpus import Corpus, choose
from compress.describe import made_by, manifest_of, sources
from compress.distilled import Origin, refuse_unfit, student_of
from compress.draft import Draft, prepare, speak
from compress.measuring import Measuring
from compress.recipe import Recipe
from compress.rtx import ahead
from compress.workspace import Workspace
from edgevoice import budget, bundle, manifest
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.onnx import OnnxEngine
from targets import Plan, Target

JUDGING_SEED = 2

KEPT_SAMPLES = 3

NO_STUDENTS = Origin()

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """A finished run: the bundle and its plan on the target.

    ``exactness``: largest difference of the FP32 stages' waveform from the voice's own file, same noise;
    ``chunked``: of a run in chunks from a whole run. ``seeds_apart``: `judge.seeds_apart`, the scale of the
    log-mel distances.
    """

    bundle: bundle.Bundle
    plan: Plan
    exactness: float
    chunked: float
    seeds_apart: float


def compress(
    voice: Path,
    target: Target,
    recipe: Recipe,
    out: Path,
    texts: Path | None = None,
    allow_worse: bool = False,
    say: Say = lambda _: None,
    origin: Origin = NO_STUDENTS,
    engines: str = "",
    command: str = "",
) -> Result:
    """Make a bundle of ``voice`` for ``target`` at ``out``; results on the way are kept and used again.

    Raises `EdgevoiceError` for a voice, text or folder that will not do, a bundle that does not fit the
    target, and, unless ``allow_worse``, a student that fails the recipe's gate. Of a teacher's own stages
    those files travel that pass; with ``allow_worse`` all that the recipe asks for, and the manifest says
    what failed. ``engines``: "rtx" for engines ahead of time too (`compress.rtx.ahead`). ``command``: what
    was typed, for the report.
    """
    bundle.refuse_foreign(out)
    if engines:
        ahead.check(target)
    origin.check(recipe)
    require(recipe.measures())
    place = out.resolve()
    work = Workspace(place.with_name(f".{place.name}.work"), made_by())
    say(f"reading {voice.name}")
    teacher = prepare(teachers.read(voice), recipe, work if recipe.distil is None else work.inner("teacher"))
    require(recipe.measures(), teacher.staged.language)
    refuse_unfit(teacher.staged, recipe)
    corpus = choose(teacher, recipe, texts)
    exactness = _exactness(teacher, corpus, work)
    say(f"three stages, equal to the voice's own file {verify.within(exactness)}")
    draft = teacher
    if recipe.distil is not None:
        home = place.with_name(f"{place.name}.training")
        draft = prepare(student_of(teacher.staged, recipe, origin, home, corpus, say), recipe, work)
    run = Measuring(draft, recipe, target, corpus, speak(draft, corpus.judging, JUDGING_SEED), work)
    chunked = _chunked(run)
    say(f"in chunks equal to a whole run {verify.within(chunked)}")
    against = None if draft is teacher else Against(run, teacher)
    if against is not None:
        say(f"judging the student against {voice.name} on {len(corpus.against)} sentences")
        _require(against.reasons({}), allow_worse)
    settled = settle(run, run.stages(), against.reasons if against else None, allow_worse)
    failed = tuple(dict.fromkeys((*settled.failed, *(_against_teacher(against, settled) if against else ()))))
    _require(failed, allow_worse)
    made = manifest_of(run, settled, exactness, failed, against)
    files = sources(run, settled.choices)
    if engines:
        made, files = ahead.add(made, files, target, work, say)
    sized = {name: manifest.File("", path.stat().st_size) for name, path in files.items()}
    plan = budget.check(msgspec.structs.replace(made, files=sized), target)
    apart = _seeds_apart(run)  # before the bundle: what it writes may find no room
    _tell_what_goes(place, say)
    written = bundle.write(out, made, files)
    kept = replace(_samples(run, settled, against), command=command, seeds_apart=apart)
    try:
        samples.keep(written, kept)
    except CannotWrite as error:  # the bundle is whole without them
        say(f"no sounds are kept for `edgevoice report`, which will make its own: {error}")
    return Result(written, plan, exactness, chunked, apart)


def _against_teacher(against: Against, settled: Settled) -> list[str]:
    """Why the student is refused, in FP32 and with the files that travel in its place."""
    plain = [f"FP32 student: {reason}" for reason in against.reasons({})]
    return [*plain, *(against.reasons(settled.files) if settled.files else ())]


def _require(failed: Sequence[str], allow_worse: bool) -> None:
    if failed and not allow_worse:
        raise EdgevoiceError(f"the voice did not survive: {'; '.join(failed)} (--allow-worse writes it)")


def _tell_what_goes(out: Path, say: Say) -> None:
    if (out / bundle.MANIFEST).is_file():
        with suppress(EdgevoiceError):  # a damaged one may be replaced too
            say(f"replacing bundle {bundle.read(out, verify=False).id[:16]} in {out}")


def _exactness(teacher: Draft, corpus: Corpus, work: Workspace) -> float:
    """The cut is checked on three sentences."""
    sentences = list(corpus.judging[:3])
    key = [teacher.staged.sha256, *teacher.key(sentences)]
    return float(work.data("exactness.json", key, lambda: verify.against_file(teacher, sentences)))


def _chunked(run: Measuring) -> float:
    """Chunks are checked on one sentence."""
    draft = run.draft
    contexts = {name: stage.context for name, stage in draft.staged.stages.items()}
    key = [*_judged_on(run), msgspec.to_builtins(draft.chunks), contexts, draft.staged.hop]
    return float(run.work.data("chunked.json", key, lambda: verify.in_chunks(draft, run.spoken)))


def _judged_on(run: Measuring) -> list[object]:
    return run.draft.key(run.corpus.judging)


def _seeds_apart(run: Measuring) -> float:
    apart = run.work.data("seeds.json", _judged_on(run), lambda: judge.seeds_apart(run.draft, run.spoken))
    return float(apart)


def _samples(run: Measuring, settled: Settled, against: Against | None) -> samples.Samples:
    """A few judged sentences for `edgevoice report`."""
    files = settled.files
    if against is not None:
        texts, sounds = against.samples(files, KEPT_SAMPLES)
    else:
        engines = {stage: OnnxEngine(path, 1) for stage, path in files.items()}
        heard = judge.heard(run.draft, run.spoken, engines)[:KEPT_SAMPLES]
        sounds = {samples.REFERENCE: run.spoken.sounds[:KEPT_SAMPLES], samples.CHOSEN: heard}
        texts = run.spoken.sentences[:KEPT_SAMPLES]
    return samples.Samples(run.draft.staged.sample_rate, texts, sounds, settled.searched())
