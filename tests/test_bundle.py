"""Reading refuses everything that is not whole and known; writing is all or nothing."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgevoice import bundle, staging
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import (
    SCHEMA,
    STAGES,
    Chunks,
    Durations,
    Licence,
    Manifest,
    Provenance,
    Stage,
    Table,
    Text,
    Variant,
    Voice,
)

ROOT = Path(__file__).parents[1]
SHARED_MEMORY = Path("/dev/shm")

Edit = Callable[[dict[str, Any]], object]


def make(folder: Path, name: str = "anna", size: int = 3000) -> Path:
    """A bundle at ``folder`` that reads and checks like a real one."""
    sources = folder.with_name(f"{folder.name}.sources")
    sources.mkdir()
    files = {f"{stage}.fp32.onnx": sources / stage for stage in STAGES}
    files |= {"text.json": sources / "text", "speakers.npy": sources / "speakers"}
    for number, path in enumerate(files.values()):
        path.write_bytes(bytes([number, *name.encode()]) * size)
    manifest = Manifest(
        schema=SCHEMA,
        voice=Voice(
            name, "en-us", 22050, 256, Licence("CC0-1.0"), speakers=Table("speakers.npy", ["a", "b"])
        ),
        text=Text("en-us", ["espeak"]),
        durations=Durations("ceil"),
        chunks=Chunks(8, 32),
        stages={
            stage: Stage([Variant(f"{stage}.fp32.onnx", "fp32")], f"{stage}.fp32.onnx", "the only one")
            for stage in STAGES
        },
        files={},
        provenance=Provenance("0" * 64, "none", "0" * 64, "cpu", "test", {}),
    )
    return bundle.write(folder, manifest, files).path


@pytest.fixture
def anna(tmp_path: Path) -> Path:
    return make(tmp_path / "anna")


def edit(folder: Path, change: Edit) -> None:
    path = folder / "manifest.json"
    plain = json.loads(path.read_text("utf-8"))
    change(plain)
    path.write_text(json.dumps(plain), "utf-8")


def rename_file(plain: dict[str, Any], name: str) -> None:
    plain["files"][name] = plain["files"].pop("text.json")
    plain["text"]["file"] = name


def refusal(folder: Path, **options: bool) -> str:
    with pytest.raises(EdgevoiceError) as caught:
        bundle.read(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_what_was_written_is_read(anna: Path) -> None:
    found = bundle.read(anna)
    assert found.path == anna
    assert found.manifest.voice.name == "anna"
    assert found.variant("vocoder").file == "vocoder.fp32.onnx"
    assert found.file("text.json").read_bytes() == (anna.with_name("anna.sources") / "text").read_bytes()
    assert {path.name for path in anna.iterdir()} == {*found.manifest.files, "manifest.json"}
    assert found.manifest.files["text.json"].sha256 == bundle.sha256(anna / "text.json")
    assert bundle.decode(bundle.encode(found.manifest), anna) == found.manifest


def test_the_id_changes_with_any_file(tmp_path: Path) -> None:
    same = [bundle.read(make(tmp_path / folder)).id for folder in ("a", "b")]
    other = bundle.read(make(tmp_path / "c", size=3001)).id
    assert same[0] == same[1] != other


@pytest.mark.parametrize(
    "name",
    [
        "../anna.sources/text",
        "/etc/passwd",
        "..",
        ".",
        "",
        "sub/text.json",
        ".hidden",
        "a b",
        "a\\b",
        "ü",
        "a\n",
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_refused(anna: Path, name: str) -> None:
    edit(anna, lambda plain: rename_file(plain, name))
    assert "unsafe file name" in refusal(anna)


def test_the_manifest_is_not_among_its_own_files(anna: Path) -> None:
    edit(anna, lambda plain: rename_file(plain, "manifest.json"))
    assert "unsafe file name" in refusal(anna)


@pytest.mark.parametrize("verify", [True, False])
def test_a_symbolic_link_is_refused_even_to_the_right_bytes(anna: Path, verify: bool) -> None:
    (anna / "text.json").unlink()
    (anna / "text.json").symlink_to(anna.with_name("anna.sources") / "text")
    assert "no plain file" in refusal(anna, verify=verify)


@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_file_is_named(anna: Path, verify: bool) -> None:
    (anna / "encoder.fp32.onnx").unlink()
    assert "encoder.fp32.onnx is missing" in refusal(anna, verify=verify)


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("change", [-1, 1])
def test_a_file_cut_short_or_grown_is_named(anna: Path, change: int, verify: bool) -> None:
    os.truncate(anna / "vocoder.fp32.onnx", (anna / "vocoder.fp32.onnx").stat().st_size + change)
    assert "vocoder.fp32.onnx was changed or cut short" in refusal(anna, verify=verify)


def test_one_flipped_bit_is_found(anna: Path) -> None:
    path = anna / "speakers.npy"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert "speakers.npy was changed" in refusal(anna)


@pytest.mark.parametrize("version", [SCHEMA + 1, 0, -1, "1", None, [], 1.5])
def test_a_schema_version_of_another_edgevoice_says_so(anna: Path, version: object) -> None:
    def change(plain: dict[str, Any]) -> None:
        plain.update(schema=version, something_new={"from": "the future"})

    edit(anna, change)
    message = refusal(anna)
    assert f"schema version {version!r}" in message
    assert "update edgevoice" in message


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda plain: plain.update(colour=1), "colour"),
        (lambda plain: plain["voice"].update(colour=1), "$.voice"),
        (lambda plain: plain["stages"]["encoder"]["variants"][0].update(colour=1), "variants[0]"),
        (lambda plain: plain["files"]["text.json"].update(colour=1), "$.files"),
        (lambda plain: plain["stages"].update(extra=plain["stages"]["encoder"]), "extra"),
        (lambda plain: plain.pop("durations"), "durations"),
        (lambda plain: plain["voice"].update(sample_rate="22050"), "$.voice.sample_rate"),
        (lambda plain: plain["durations"].update(rounding="up"), "$.durations.rounding"),
    ],
)
def test_unknown_keys_and_wrong_types_are_named_with_their_place(
    anna: Path, change: Edit, place: str
) -> None:
    edit(anna, change)
    message = refusal(anna)
    assert "manifest.json" in message
    assert place in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda plain: plain["stages"].pop("vocoder"), "lacks the stage vocoder"),
        (lambda plain: plain["stages"]["encoder"].update(chosen="text.json"), "is not among its files"),
        (
            lambda plain: plain["files"].pop("text.json"),
            "'text.json' is named in the manifest without a checksum",
        ),
        (lambda plain: plain["files"].pop("speakers.npy"), "'speakers.npy' is named"),
        (lambda plain: plain["files"].pop("encoder.fp32.onnx"), "'encoder.fp32.onnx' is named"),
        (lambda plain: plain["stages"]["encoder"].update(variants=[]), "is not among its files"),
    ],
)
def test_a_manifest_that_contradicts_itself_is_refused(anna: Path, change: Edit, message: str) -> None:
    edit(anna, change)
    assert message in refusal(anna)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"1", b"null", b"{}", b'"x"', b"\xff\xfe", b"\0" * 100])
def test_what_is_no_manifest_is_refused(anna: Path, raw: bytes) -> None:
    (anna / "manifest.json").write_bytes(raw)
    assert "is no bundle manifest" in refusal(anna)


def test_a_truncated_manifest_is_refused_wherever_it_ends(anna: Path) -> None:
    raw = (anna / "manifest.json").read_bytes()
    for length in range(0, len(raw.rstrip()), 97):
        (anna / "manifest.json").write_bytes(raw[:length])
        assert "is no bundle manifest" in refusal(anna)


def test_a_place_without_a_bundle_says_what_is_wrong(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    assert "is no bundle" in refusal(tmp_path / "file")
    assert "it has no manifest.json" in refusal(tmp_path)
    (tmp_path / "manifest.json").mkdir()
    assert "cannot read" in refusal(tmp_path)
    assert "File name too long" in refusal(tmp_path / ("x" * 300))


# Writing.


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def rewrite(source: Path, target: Path) -> bundle.Bundle:
    made = bundle.read(source)
    return bundle.write(target, made.manifest, {name: made.file(name) for name in made.manifest.files})


def test_an_older_bundle_is_replaced_whole(anna: Path, tmp_path: Path) -> None:
    ben = make(tmp_path / "ben", "ben", size=10)
    (anna / "left-over").write_text("x")
    before = names(tmp_path)
    assert rewrite(ben, anna).id == bundle.read(ben).id
    assert names(anna) == names(ben)
    assert names(tmp_path) == before


def test_where_names_cannot_be_exchanged_it_is_replaced_too(
    anna: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ben = make(tmp_path / "ben", "ben")
    before = names(tmp_path)
    monkeypatch.setattr(bundle, "_exchange", lambda *_: False)
    assert rewrite(ben, anna).manifest.voice.name == "ben"
    assert names(tmp_path) == before


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("late", [False, True])
def test_a_stop_between_two_renames_brings_the_old_bundle_back(
    anna: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException], late: bool
) -> None:
    ben, rename = make(tmp_path / "ben", "ben"), os.rename
    before = names(tmp_path)

    def stopped(source: Path, target: Path) -> None:
        if late:
            rename(source, target)
        if target == anna and not source.name.endswith(".old"):
            raise stop
        if not late:
            rename(source, target)

    monkeypatch.setattr(bundle, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", stopped)
    with pytest.raises(EdgevoiceError if stop is OSError else stop):
        rewrite(ben, anna)
    monkeypatch.setattr(os, "rename", rename)
    assert bundle.read(anna).manifest.voice.name == ("ben" if late else "anna")
    rewrite(ben, anna)
    assert names(tmp_path) == before


def test_a_bundle_that_a_killed_run_had_moved_away_comes_back_first(anna: Path, tmp_path: Path) -> None:
    os.rename(anna, tmp_path / ".anna.new-a1b2c3d4.staging.old")
    (tmp_path / ".anna.new-a1b2c3d4.staging").mkdir()
    manifest = bundle.read(make(tmp_path / "ben", "ben")).manifest
    before = names(tmp_path)
    with pytest.raises(EdgevoiceError, match="cannot write"):
        bundle.write(anna, manifest, {"text.json": tmp_path / "gone"})
    assert bundle.read(anna).manifest.voice.name == "anna"
    assert names(tmp_path) - before == {"anna"}
    assert not [name for name in names(tmp_path) if name.startswith(".anna")]


def test_writing_leaves_other_names_and_living_writers_alone(tmp_path: Path) -> None:
    theirs = [".b2.new-test.work", ".b2.new-test.new-a1b2c3d4.staging", ".b22.new-a1b2c3d4.staging"]
    for name in theirs:
        (tmp_path / name).mkdir()
    left = tmp_path / ".b2.new-a1b2c3d4.staging"
    left.mkdir()
    with staging.beside(tmp_path / "b2") as living:
        assert not left.exists()
        (living / "part").write_text("x")
        make(tmp_path / "b2")
        assert (living / "part").exists()
    assert names(tmp_path) == {*theirs, "b2", "b2.sources"}


def test_a_link_to_a_bundle_stays_a_link(anna: Path, tmp_path: Path) -> None:
    ben = make(tmp_path / "ben", "ben")
    link = tmp_path / "link"
    link.symlink_to(anna)
    before = names(tmp_path)
    rewrite(ben, link)
    assert link.is_symlink()
    assert bundle.read(anna).manifest.voice.name == "ben"
    assert names(tmp_path) == before


@pytest.mark.parametrize("kind", ["folder", "file", "hidden"])
def test_what_is_no_bundle_is_never_overwritten(anna: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "mine"
    kept = target if kind == "file" else target / (".hidden" if kind == "hidden" else "thesis.txt")
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("years of work")
    with pytest.raises(EdgevoiceError, match="is no bundle: name another folder"):
        rewrite(anna, target)
    assert kept.read_text() == "years of work"


def test_an_empty_folder_and_missing_parents_will_do(anna: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "empty", tmp_path / "a/b/c", tmp_path / "odd [name]*"):
        rewrite(anna, target)
        assert rewrite(anna, target).id == bundle.read(anna).id
        assert not [name for name in names(target.parent) if name.startswith(".")]


def test_a_source_that_is_missing_leaves_nothing(anna: Path, tmp_path: Path) -> None:
    made, before = bundle.read(anna), names(tmp_path)
    sources = {name: made.file(name) for name in made.manifest.files}
    sources["text.json"] = tmp_path / "gone"
    with pytest.raises(EdgevoiceError, match=r"cannot write .*: No such file"):
        bundle.write(tmp_path / "new", made.manifest, sources)
    assert names(tmp_path) == before


def test_a_manifest_that_would_not_read_is_not_written(anna: Path, tmp_path: Path) -> None:
    made = bundle.read(anna)
    sources = {name: made.file(name) for name in made.manifest.files if name != "text.json"}
    with pytest.raises(EdgevoiceError, match=r"text\.json"):
        bundle.write(tmp_path / "new", made.manifest, sources)
    wrong = msgspec.structs.replace(made.manifest, schema=SCHEMA + 1)
    with pytest.raises(EdgevoiceError, match="schema version"):
        bundle.write(tmp_path / "new", wrong, {name: made.file(name) for name in made.manifest.files})
    assert names(tmp_path) == {"anna", "anna.sources"}


def test_a_read_only_place_is_one_line(anna: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_only(**_: object) -> str:  # nothing is read-only to root, who runs the tests in a container
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "mkdtemp", read_only)
    with pytest.raises(EdgevoiceError, match=r"cannot write .*new: Read-only file system"):
        rewrite(anna, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.fixture
def work() -> Iterator[Path]:
    """In memory where that is possible: a hundred bundles that sync every file wear a disk."""
    inside = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=inside) as folder:
        yield Path(folder)


@pytest.mark.parametrize("how", ["kill", "full"])
def test_stopped_at_any_moment_the_old_or_the_new_is_there(work: Path, how: str) -> None:
    make(work / "old", "old", size=100)
    make(work / "new", "new", size=200)
    command = [sys.executable, "-m", "tests.write_moments", str(work), how]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr
    rows = json.loads(ran.stdout)
    stopped = [row for row in rows if row["status"]]
    assert len(stopped) > 30
    for row in stopped:
        old = "old" if row["update"] else ""
        assert row["status"] == (-signal.SIGKILL if how == "kill" else 3), row
        assert row["holds"] in (old, "new"), row
        assert row["ends"] == "new", row
        assert row["after"] == ["bundle"], row
        if how == "full":
            assert row["left"] in ([], ["bundle"]), row
    assert {row["holds"] for row in rows} == {"", "old", "new"}
    assert [row["holds"] for row in rows if not row["status"]] == ["new", "new"]


def test_the_tiny_bundle_reads(tiny_bundle: Path, tmp_path: Path) -> None:
    found = bundle.read(tiny_bundle)
    assert found.manifest.voice.sample_rate == 22050
    copy = tmp_path / "copy"
    shutil.copytree(tiny_bundle, copy)
    assert bundle.read(copy).id == found.id
