"""What a run says in the bundle's manifest."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import msgspec

from calibration import data
from compress.against import Against
from compress.choose import Choice, Settled
from compress.draft import fp32_name
from compress.measuring import Measuring, measures
from compress.verify import within
from edgevoice import bundle, manifest
from edgevoice.manifest import STAGES, StageName
from targets import host


def manifest_of(
    run: Measuring, settled: Settled, exactness: float, failed: Sequence[str], against: Against | None
) -> manifest.Manifest:
    """The manifest without its files' checksums, which the bundle's writer fills in."""
    draft, staged = run.draft, run.draft.staged
    return manifest.Manifest(
        schema=manifest.SCHEMA,
        voice=draft.voice(),
        text=staged.text,
        durations=staged.durations,
        chunks=draft.chunks,
        stages={stage: _stage(run, stage, settled.choices[stage]) for stage in STAGES},
        files={},
        provenance=_provenance(run, exactness),
        spectrum=staged.spectrum,
        phase=staged.phase,
        calibration=_calibration(run),
        quality=measures(settled.heard.figures, "FP32 stages", run.recipe.thresholds()),
        failed_gate=list(failed),
        not_judged=_not_judged(settled, against),
        against_teacher=against.described(settled.files, settled.spoken) if against else None,
    )


def _not_judged(settled: Settled, against: Against | None) -> list[str]:
    missing = against.verdict(against.heard({}, "student")).unmeasured if against else ()
    return [*settled.not_judged, *(f"{name} against the teacher" for name in missing)]


def sources(run: Measuring, choices: Mapping[StageName, Choice]) -> dict[str, Path]:
    """The files that travel: those a device may load, the tables, and the calibration's sentences."""
    draft, said = run.draft, run.corpus.calibration
    stages = {row.path.name: row.path for choice in choices.values() for row in choice.travelling if row.path}
    tables = {name: path for name, path in draft.files.items() if name not in map(fp32_name, STAGES)}
    if not said:
        return {**stages, **tables}
    text = run.work.file(manifest.CALIBRATION, list(said), lambda path: _write(path, data.listed(said)))
    return {**stages, **tables, manifest.CALIBRATION: text}


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def versions() -> dict[str, str]:
    packages = ("edgevoice", "onnx", "onnxruntime", "numpy")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


@cache
def made_by() -> dict[str, str]:
    """What a result depends on beside its inputs: versions, this machine, edgevoice's files as they are."""
    digest = hashlib.sha256()
    for name in ("calibration", "compress", "edgevoice", "targets"):
        root = Path(str(files(name)))
        for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
            if root / "voices" in path.parents:  # what this makes, not what makes it
                continue
            digest.update(f"{name}/{path.relative_to(root)}\0{bundle.sha256(path)}\n".encode())
    return {**versions(), "machine": _machine(), "source": digest.hexdigest()}


def _machine() -> str:
    machine = host.read()
    return f"{machine.cpu.model}, {machine.machine}"


def _stage(run: Measuring, stage: StageName, choice: Choice) -> manifest.Stage:
    travelling = [row.variant for row in choice.travelling]
    described = run.draft.stage(stage, travelling, choice.chosen.variant.file, choice.reason)
    assert choice.chosen.path is not None
    arena = run.arena(stage, choice.chosen.path)
    tried = [row.variant for row in choice.tried]
    return msgspec.structs.replace(described, arena_bytes=arena, tried=tried)


def _calibration(run: Measuring) -> manifest.Calibration | None:
    record, settings = run.corpus.record, run.recipe.quantize
    if record is None or settings is None:
        return None
    return manifest.Calibration(
        len(run.corpus.calibration), record.sha256, settings.method, dict(record.coverage)
    )


def _notes(run: Measuring, exactness: float) -> list[str]:
    students = [name for name in STAGES if run.draft.staged.stages[name].trained]
    whose = "teacher's own" if students else "FP32"
    notes = [f"the {whose} stages equal the teacher's file {within(exactness)} at the same noise"]
    return [*notes, f"students of the teacher's: {', '.join(students)}"] if students else notes


def _provenance(run: Measuring, exactness: float) -> manifest.Provenance:
    return manifest.Provenance(
        teacher=run.draft.staged.sha256,
        recipe=run.recipe.name,
        recipe_sha256=run.recipe.sha256(),
        target=run.target.id,
        host=_machine(),
        versions=versions(),
        notes=_notes(run, exactness),
    )
