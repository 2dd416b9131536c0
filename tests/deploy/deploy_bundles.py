"""Bundles that read and check like real ones but hold random bytes, and a self-test that is content."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgevoice import bundle
from edgevoice.deploy.layout import short
from edgevoice.deploy.selftest import Report
from edgevoice.manifest import (
    SCHEMA,
    Chunks,
    Durations,
    Licence,
    Manifest,
    Provenance,
    Stage,
    StageName,
    Text,
    Variant,
    Voice,
)
from edgevoice.options import Wish


def make(folder: Path, name: str, size: int = 40_000, language: str = "en-us", **seeds: int) -> Path:
    """A bundle at ``folder/name``; ``seeds`` say which stages hold what, so that bundles can share files."""
    sources = folder / f"{name}.sources"
    sources.mkdir(parents=True)
    stages: tuple[StageName, ...] = ("encoder", "acoustic", "vocoder")
    files = {f"{stage}.fp32.onnx": sources / stage for stage in stages}
    for stage in stages:
        noise = np.random.default_rng(seeds.get(stage, 0) + 100 * stages.index(stage))
        (sources / stage).write_bytes(noise.bytes(size))
    (sources / "text").write_text("{}", encoding="utf-8")
    manifest = Manifest(
        schema=SCHEMA,
        voice=Voice(name, language, 22050, 256, Licence("CC0-1.0")),
        text=Text(language, ["lexicon"]),
        durations=Durations("ceil"),
        chunks=Chunks(8, 32),
        stages={
            stage: Stage([Variant(f"{stage}.fp32.onnx", "fp32")], f"{stage}.fp32.onnx", "the only one")
            for stage in stages
        },
        files={},
        provenance=Provenance("0" * 64, "none", "0" * 64, "cpu", "test", {}),
    )
    return bundle.write(folder / name, manifest, {**files, "text.json": sources / "text"}).path


def name_of(path: Path) -> str:
    return short(bundle.read(path, verify=False).id)


def content(folder: Path, budget: int | None, engine: Wish) -> Report:
    """A self-test that likes everything whole."""
    bundle.read(folder)
    return Report([])
