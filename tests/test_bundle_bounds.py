"""A bundle's numbers that would hang or break what reads them, and folders that only look like bundles."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError


@pytest.fixture
def copied(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "home" / "bundle"))


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (lambda plain: plain["chunks"].update(first=0, long=0), "chunks.first"),
        (lambda plain: plain["voice"].update(hop=0), "voice.hop"),
        (lambda plain: plain["voice"].update(sample_rate=-1), "voice.sample_rate"),
        (lambda plain: plain["stages"]["vocoder"].update(context=-1), "context"),
        (lambda plain: plain.update(spectrum={"n_fft": 15}), "spectrum.n_fft"),
    ],
)
def test_a_number_that_makes_no_sense_is_named(
    copied: Path, spoil: Callable[[dict[str, Any]], object], place: str
) -> None:
    plain = json.loads((copied / "manifest.json").read_text())
    spoil(plain)
    (copied / "manifest.json").write_text(json.dumps(plain))
    with pytest.raises(EdgevoiceError, match=place):
        bundle.read(copied)


def _written(source: Path, target: Path) -> bundle.Bundle:
    made = bundle.read(source)
    return bundle.write(target, made.manifest, {name: made.file(name) for name in made.manifest.files})


@pytest.mark.parametrize("manifest", ['{"name": "shop", "start_url": "/"}', "[]", "not json", ""])
def test_a_manifest_of_something_else_does_not_make_a_bundle(
    tiny_bundle: Path, tmp_path: Path, manifest: str
) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "manifest.json").write_text(manifest)
    (shop / "index.html").write_text("a shop")
    with pytest.raises(EdgevoiceError, match="is no bundle"):
        _written(tiny_bundle, shop)
    assert (shop / "index.html").read_text() == "a shop"


def test_the_folder_one_stands_in_can_be_written(
    copied: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied)
    assert _written(tiny_bundle, Path()).path == copied


def test_a_replacement_that_fails_leaves_the_older_bundle(
    copied: Path, tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename = bundle.read(copied).id, os.rename

    def failing(source: Path, target: Path) -> None:
        if target == copied and not str(source).endswith(".old"):
            raise OSError(5, "Input/output error")
        rename(source, target)

    monkeypatch.setattr(bundle, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(EdgevoiceError, match="Input/output error"):
        _written(tiny_bundle, copied)
    assert bundle.read(copied).id == before
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
