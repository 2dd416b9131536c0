"""INT8 files of the tiny voice: what is remembered of one that could not be made, and what is not."""

from __future__ import annotations

import errno
from pathlib import Path

import msgspec
import pytest

from calibration.atomic import CannotWrite
from calibration.quantize import prepare as prepare_model
from calibration.quantize import quantisable
from calibration.ranges import Histogram
from compress import teachers, variants
from compress.draft import Draft, prepare, speak
from compress.recipe import Quantize, load
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError
from targets import load as load_target

pytest.importorskip("onnx")

RECIPE = msgspec.structs.replace(load("quantize"), quantize=Quantize(search_seconds=0.0, limit=9.0))
CPU = load_target("cpu")


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "work", {})


@pytest.fixture(scope="module")
def draft(tiny_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return prepare(teachers.read(tiny_voice), RECIPE, Workspace(tmp_path_factory.mktemp("draft"), {}))


@pytest.fixture(scope="module")
def material(draft: Draft) -> variants.Material:
    spoken = speak(draft, ["The young boy gave no clear response at all today."], 1)
    return variants.Material(spoken.sentences, spoken.feeds["vocoder"] * 8, spoken)


def test_a_full_disk_is_forgotten(
    draft: Draft, material: variants.Material, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(CannotWrite, match="No space left"):
            variants.make(draft, "vocoder", RECIPE, CPU, material, work)
    (made,) = variants.make(draft, "vocoder", RECIPE, CPU, material, work)
    assert made.path is not None
    assert not made.refused


def test_a_refusal_is_remembered_without_the_folders_of_this_machine(
    draft: Draft, material: variants.Material, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise EdgevoiceError(f"load from {path} failed, dump to /tmp/x1/optimised.onnx:/dec/conv too")

    monkeypatch.setattr("calibration.quantize.integer_operators", refuse)
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    told = "load from vocoder.int8.cpu.onnx failed, dump to optimised.onnx:/dec/conv too"
    for _ in range(2):
        (made,) = variants.make(draft, "vocoder", RECIPE, CPU, material, work)
        assert (made.path, made.refused) == (None, told)
        monkeypatch.setattr("compress.variants.quantize", lambda *_, **__: pytest.fail("made again"))


def test_layers_without_a_range_are_named(
    draft: Draft, material: variants.Material, work: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of a conditioning that is all zeros; the shares are of what INT8 may touch."""
    model = prepare_model(draft.path("vocoder"), "cpu")
    dead = quantisable(model)[0]
    real = variants.measure_ranges

    def without(*given: object) -> dict[str, Histogram]:
        return {name: found for name, found in real(*given).items() if name != dead.input[0]}

    monkeypatch.setattr(variants, "measure_ranges", without)
    (made,) = variants.make(draft, "vocoder", RECIPE, CPU, material, work)
    assert made.left == {dead.name: None}
