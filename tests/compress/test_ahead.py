"""Engines ahead of time travel beside the ONNX files that they are of, and only for cards."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("onnx")

import targets
from compress import rtx
from compress.rtx import ahead
from compress.rtx.figures import Figures
from compress.workspace import Workspace
from edgevoice import bundle
from edgevoice.bundle import Bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.tensorrt.build import Order

CARD = targets.load("rtx_4060_laptop")


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """The orders that were given, answered by a builder that writes something."""
    orders = []

    def build(order: Order, out: Path) -> Figures:
        orders.append(order)
        out.write_bytes(f"a plan for {order.capabilities[0]}".encode())
        return Figures(1234, 567, out.stat().st_size, {}, ())

    monkeypatch.setattr(ahead, "build", build)
    monkeypatch.setattr(ahead, "version", lambda _: "1.7")
    monkeypatch.setattr(rtx, "require", lambda: None)
    return orders


def with_engines(tiny: Bundle, folder: Path) -> Bundle:
    files = {name: tiny.path / name for name in tiny.manifest.files}
    said: list[str] = []
    work = Workspace(folder / "work")
    made, every = ahead.add(tiny.manifest, files, CARD, work, said.append)
    assert len(said) == 3
    return bundle.write(folder / "bundle", made, every)


def test_each_stage_has_an_engine_for_the_card(tiny_bundle: Path, tmp_path: Path, built: list[Order]) -> None:
    found = with_engines(bundle.read(tiny_bundle), tmp_path)
    assert [order.capabilities for order in built] == [("8.9",)] * 3
    assert sorted(engine.file for engine in found.manifest.engines) == [
        "acoustic.fp32.sm89.plan",
        "encoder.fp32.sm89.plan",
        "vocoder.fp32.sm89.plan",
    ]
    for engine in bundle.read(found.path).manifest.engines:
        assert engine.source_sha256 == found.manifest.files[engine.source].sha256
        assert (engine.builder, engine.capability) == ("tensorrt_rtx 1.7", "8.9")
        assert found.file(engine.file).read_bytes() == b"a plan for 8.9"
    assert found.manifest.stages["vocoder"].variants[0].arena_bytes == 1234
    assert (tmp_path / "work" / "vocoder.fp32.sm89.plan").is_file()


def test_a_second_run_takes_what_is_there(tiny_bundle: Path, tmp_path: Path, built: list[Order]) -> None:
    tiny = bundle.read(tiny_bundle)
    with_engines(tiny, tmp_path)
    with_engines(tiny, tmp_path)
    assert len(built) == 3


def test_an_engine_of_another_file_is_refused(tiny_bundle: Path, tmp_path: Path, built: list[Order]) -> None:
    found = with_engines(bundle.read(tiny_bundle), tmp_path)
    wrong = [msgspec.structs.replace(e, source_sha256="0" * 64) for e in found.manifest.engines]
    changed = msgspec.structs.replace(found.manifest, engines=wrong)
    (found.path / bundle.MANIFEST).write_bytes(bundle.encode(changed))
    with pytest.raises(EdgevoiceError, match=r"plan is of another .*onnx: compress the voice again"):
        bundle.read(found.path)
    unnamed = msgspec.structs.replace(
        found.manifest, files={k: v for k, v in found.manifest.files.items() if not k.endswith(".plan")}
    )
    (found.path / bundle.MANIFEST).write_bytes(bundle.encode(unnamed))
    with pytest.raises(EdgevoiceError, match="without a checksum"):
        bundle.read(found.path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("orin_nano_8gb", "does not build for Jetson Orin Nano 8GB: leave it out"),
        ("thor_t5000", "does not build for Jetson"),
        ("cpu", "cannot serve plain CPU"),
    ],
)
def test_targets_that_it_cannot_serve_are_refused(name: str, said: str) -> None:
    with pytest.raises(EdgevoiceError, match=said):
        ahead.check(targets.load(name))


def test_without_the_library_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtx, "LIBRARY", "tensorrt_that_nobody_has")
    with pytest.raises(EdgevoiceError, match="pip install"):
        ahead.check(CARD)
