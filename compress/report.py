"""The verb `edgevoice report`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from edgevoice import budget, install
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Manifest
from edgevoice.runtime.find import read
from targets.errors import TargetError

if TYPE_CHECKING:
    from calibration.samples import Samples
    from edgevoice.bundle import Bundle
    from targets import Plan

SPOKEN = (
    "The young boy gave no clear response.",
    "She sells six thin silver chains, and zips her purse.",
    "How much did the shoes cost, and why was the measure so vague?",
)


def register(app: typer.Typer) -> None:
    """Add this package's verbs to the command line."""
    app.command()(report)


def report(
    bundle: Annotated[Path, typer.Argument(help="A bundle or a deployed folder.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The page to write, such as report.html.")],
    text: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(
            "--text", help="Speak this from the bundle instead of the kept samples; may be repeated."
        ),
    ] = None,
    target: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option("--target", help="Plan memory for this device instead of the bundle's own target."),
    ] = None,
    teacher: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--teacher", help="Make the sounds anew, beside this voice's: what it was made of."),
    ] = None,
) -> None:
    """Show a bundle on one self-contained page: sound, size, speed, quality, memory, provenance."""
    made = read(bundle)
    if output.is_dir():
        raise EdgevoiceError(f"{output} is a folder: name the page, such as {output / 'report.html'}")
    plan = _plan(made.manifest, target)
    try:
        from calibration.report import page, write

        sounds = _samples(made, text or [], teacher)
    except ModuleNotFoundError as error:
        mend = install.command("compress")
        raise EdgevoiceError(f"report needs {error.name}, which is not installed: {mend}") from None
    print(write(output, page(made, sounds, plan)))


def _samples(made: Bundle, texts: Sequence[str], teacher: Path | None) -> Samples | None:
    """Those kept beside the bundle; spoken anew with ``texts`` or a ``teacher``, or where none are kept."""
    from calibration.samples import read, remake

    try:
        kept = read(made)
    except EdgevoiceError:
        if not texts and teacher is None:
            raise
        kept = None  # such as sounds of another bundle, which --text gets around
    if kept is not None and not texts and teacher is None:
        return kept
    spoken = texts or _spoken(made.manifest, kept)
    if not spoken:
        if teacher is not None:
            raise EdgevoiceError("say with --text what is to be heard: no sounds of this bundle were kept")
        return None
    fresh = remake(made, spoken) if teacher is None else _beside(teacher, made, spoken)
    return fresh if kept is None else replace(kept, texts=fresh.texts, sounds=fresh.sounds, rate=fresh.rate)


def _spoken(manifest: Manifest, kept: Samples | None) -> Sequence[str]:
    if kept is not None:
        return kept.texts
    return SPOKEN if manifest.voice.language.startswith("en") else ()


def _beside(teacher: Path, made: Bundle, texts: Sequence[str]) -> Samples:
    from compress import beside, teachers
    from compress.workspace import Workspace

    with TemporaryDirectory() as scratch:
        return beside.samples(teachers.read(teacher), made, texts, Workspace(Path(scratch)))


def _plan(manifest: Manifest, named: str | None) -> Plan | None:
    """On the target that is named, else on the bundle's own, which may be a profile that is not here."""
    from targets import load

    if named is not None:
        if told := budget.on_cpu(manifest, load(named)):
            print(f"note: {told}", file=sys.stderr)
        return budget.of(manifest, load(named))
    try:
        return budget.of(manifest, load(manifest.provenance.target))
    except TargetError as error:
        print(f"note: no memory plan: {error}; name the profile with --target", file=sys.stderr)
        return None
