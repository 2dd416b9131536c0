"""A real bundle made of the tiny voice, FP32 only: what a device's tests speak with.

For an environment without torch, ``python tests/tiny_bundle.py OUT`` and then ``pytest --bundles OUT``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from compress import draft, teachers
from compress.draft import fp32_name
from compress.recipe import Chunks, Recipe
from compress.workspace import Workspace
from edgevoice import bundle
from edgevoice.manifest import SCHEMA, STAGES, Manifest, Provenance, Variant

RECIPE = Recipe("tiny", Chunks(first=8, long=32))
VOICES: dict[str, dict[str, Any]] = {
    "tiny": {},
    "tiny_multispeaker": {"speakers": 3, "seed": 1, "resblock": "1"},
}


def make(voice: Path, folder: Path) -> Path:
    """Cut the voice file into stages and write them as the bundle ``folder``."""
    ready = draft.prepare(teachers.read(voice), RECIPE, Workspace(folder.with_name(f"{folder.name}.work")))
    staged = ready.staged
    stages = {
        name: ready.stage(name, [Variant(fp32_name(name), "fp32")], fp32_name(name), "FP32: the only one")
        for name in STAGES
    }
    manifest = Manifest(
        schema=SCHEMA,
        voice=ready.voice(),
        text=staged.text,
        durations=staged.durations,
        chunks=ready.chunks,
        stages=stages,
        files={},
        provenance=Provenance(
            staged.sha256, RECIPE.name, RECIPE.sha256(), "cpu", "test", {"numpy": np.__version__}
        ),
        spectrum=staged.spectrum,
        phase=staged.phase,
    )
    return bundle.write(folder, manifest, ready.files).path


if __name__ == "__main__":
    import tiny_voice

    for name, options in VOICES.items():
        print(make(tiny_voice.make(Path(sys.argv[1]) / f"{name}.onnx", **options), Path(sys.argv[1]) / name))
