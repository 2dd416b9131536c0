"""The page: what the bundle is, how it sounds, what it costs, and where it came from."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path

from calibration.atomic import atomic
from calibration.report import figures, sections, tables
from calibration.samples import Samples
from edgevoice.bundle import Bundle
from targets import Plan

# One player at a time: comparing versions means going back and forth.
SCRIPT = (
    "document.addEventListener('play',e=>document.querySelectorAll('audio').forEach("
    "a=>{if(a!==e.target)a.pause()}),true)"
)


def page(bundle: Bundle, samples: Samples | None, plan: Plan | None) -> str:
    """The whole document: no script, style, font, picture or sound is fetched from elsewhere."""
    manifest = bundle.manifest
    style = (files("calibration.report") / "style.css").read_text()
    body = [
        sections.head(bundle, plan),
        sections.listening(samples),
        tables.stages(manifest),
        sections.quality(manifest, samples),
        sections.student(manifest),
        figures.speed(manifest),
        figures.sensitivity(manifest, samples),
        figures.memory(plan),
        figures.calibration(manifest),
        sections.provenance(bundle, samples),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(manifest.voice.name)}: report</title><style>{style}</style></head>"
        f"<body><main>{''.join(body)}</main><script>{SCRIPT}</script></body></html>\n"
    )


def write(out: str | Path, text: str) -> Path:
    """Write the page whole or not at all. Raises `calibration.atomic.CannotWrite`."""
    with atomic(out) as file:
        file.write(text.encode())
    return Path(out)
