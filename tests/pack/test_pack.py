"""A pack is written the same each time, and what is cut, altered or foreign in it is refused in one line."""

from __future__ import annotations

import json
import os
import random
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from deploy.deploy_bundles import content, make, name_of

from edgevoice import bundle
from edgevoice.deploy import local
from edgevoice.deploy.local import Deployment, resolve
from edgevoice.errors import EdgevoiceError
from edgevoice.pack import reader
from edgevoice.pack.install import Contents, contents, install
from edgevoice.pack.make import pack
from edgevoice.pack.reader import HEAD, PackError, opened


def put(file: Path, root: Path) -> Deployment:
    return install(file, root, lambda found: local.deploy(found, root, self_test=content))


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return make(tmp_path, "one", size=2000)


@pytest.fixture
def file(one: Path, tmp_path: Path) -> Path:
    return pack(one, tmp_path / "one.edgevoice").path


def look(file: Path) -> Contents:
    scratch = file.with_name("scratch")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return contents(file, scratch)


def refusal(file: Path) -> str:
    with pytest.raises(EdgevoiceError) as refused:
        look(file)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_pack_installs_what_was_packed(one: Path, file: Path, tmp_path: Path) -> None:
    root = tmp_path / "device"
    done = put(file, root)
    assert done.release.name == name_of(one) == resolve(root).name
    assert bundle.read(resolve(root)).id == bundle.read(one).id
    assert not (root / "incoming").exists()
    assert put(file, root).copied_bytes == 0


def test_the_same_bundle_gives_the_same_bytes(one: Path, file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(one, copy)
    for path in copy.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    assert pack(copy, tmp_path / "again.edgevoice").path.read_bytes() == file.read_bytes()


def test_what_a_pack_says_of_itself(one: Path, file: Path) -> None:
    found = look(file)
    assert (found.voice, found.release, found.serial) == ("one", bundle.read(one).id, 0)
    assert (found.signer, found.kit, found.bytes) == ("", False, file.stat().st_size)


def test_its_index_can_be_read_from_its_beginning(file: Path) -> None:
    raw = file.read_bytes()
    with opened(file) as whole:
        assert reader.peek(raw) == whole.index
    assert reader.peek(raw[:200]) is None
    assert reader.peek(b"") is None
    for wrong in (b"<html>", HEAD + b"PK\3\4" + bytes(100)):
        with pytest.raises(ValueError, match="no pack"):
            reader.peek(wrong)


def test_an_altered_bundle_is_not_packed(one: Path, tmp_path: Path) -> None:
    (one / "text.json").write_text("[]")
    with pytest.raises(EdgevoiceError, match="was changed"):
        pack(one, tmp_path / "new.edgevoice")
    assert not list(tmp_path.glob("*.edgevoice"))


def test_what_lies_there_is_not_written_over(one: Path, file: Path, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(EdgevoiceError, match="exists and is no pack"):
        pack(one, tmp_path / "letter")
    with pytest.raises(EdgevoiceError, match="is a folder: name a file, such as"):
        pack(one, tmp_path)
    (tmp_path / "letter").write_text("")
    pack(one, tmp_path / "letter")
    pack(make(tmp_path, "two", size=500), file)
    assert look(file).voice == "two"
    assert not list(tmp_path.glob(".*new-*"))


def test_a_pack_cut_anywhere_is_refused_in_one_line(file: Path, tmp_path: Path) -> None:
    raw = file.read_bytes()
    cut = tmp_path / "cut"
    for length in [0, 1, 30, *range(100, len(raw), 97), len(raw) - 1]:
        cut.write_bytes(raw[:length])
        assert "copy or download the whole file again" in refusal(cut)
    root = tmp_path / "device"
    with pytest.raises(EdgevoiceError, match=r"cut short or damaged.*; no release is installed there yet"):
        put(cut, root)
    assert not root.exists()


def test_a_changed_byte_anywhere_is_found_or_changes_nothing(file: Path, tmp_path: Path) -> None:
    raw, before = file.read_bytes(), look(file)
    changed = tmp_path / "one.changed"
    picked = random.Random(5)
    for at in picked.sample(range(len(raw)), 150):
        damaged = bytearray(raw)
        damaged[at] ^= 1 << picked.randrange(8)
        changed.write_bytes(damaged)
        try:
            found = look(changed)
        except EdgevoiceError:
            continue
        assert (found.release, found.serial) == (before.release, before.serial)


@pytest.mark.parametrize("name", ["bundle/encoder.fp32.onnx", "bundle/manifest.json", "bundle/text.json"])
def test_a_tampered_entry_is_named_and_the_old_voice_speaks(
    one: Path, file: Path, tmp_path: Path, name: str
) -> None:
    root = tmp_path / "device"
    put(file, root)
    new = pack(make(tmp_path, "new", size=2000, vocoder=3), tmp_path / "new.edgevoice").path
    raw = bytearray(new.read_bytes())
    with zipfile.ZipFile(new) as archive:
        at = archive.getinfo(name).header_offset + 30 + len(name)
    raw[at] ^= 1
    new.write_bytes(raw)
    with pytest.raises(EdgevoiceError, match=f"damaged in {name}.*release {name_of(one)} still speaks"):
        put(new, root)
    assert resolve(root).name == name_of(one)
    assert not (root / "incoming").exists()


Entries = list[tuple[zipfile.ZipInfo, bytes]]


def entry(name: str, mode: int = stat.S_IFREG | 0o644, method: int = zipfile.ZIP_STORED) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system, made.external_attr, made.compress_type = 3, mode << 16, method
    return made


def rebuild(file: Path, change: Callable[[Entries, dict[str, object]], None]) -> Path:
    """The pack made anew, after ``change`` to its entries and their records in the index."""
    with zipfile.ZipFile(file) as archive:
        index = json.loads(archive.read("pack.json"))
        entries = [(entry(name), archive.read(name)) for name in archive.namelist() if name != "pack.json"]
    change(entries, index["files"])
    with open(file, "wb") as stream:
        stream.write(HEAD)
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(entry("pack.json"), json.dumps(index))
            for made, data in entries:
                archive.writestr(made, data)
    return file


def add(name: str, data: bytes = b"evil", **how: int) -> Callable[[Entries, dict[str, object]], None]:
    def change(entries: Entries, records: dict[str, object]) -> None:
        import hashlib

        entries.append((entry(name, **how), data))
        records[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}

    return change


def test_a_pack_rebuilt_as_it_was_is_good(file: Path) -> None:
    rebuild(file, lambda entries, records: None)
    look(file)


@pytest.mark.parametrize(
    "name", ["../evil", "bundle/../../evil", "/etc/evil", "bundle/a/b", "bundle/.hidden", "evil", "bundle\\x"]
)
def test_names_that_lead_elsewhere(file: Path, tmp_path: Path, name: str) -> None:
    rebuild(file, add(name))
    assert "cut short or damaged" in refusal(file)
    assert not list(tmp_path.rglob("evil"))


def test_entries_that_are_no_plain_file(file: Path) -> None:
    good = file.read_bytes()
    for kind in (stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO):
        file.write_bytes(good)
        rebuild(file, add("bundle/link", b"/etc/passwd", mode=kind | 0o777))
        assert "cut short or damaged" in refusal(file)


def test_what_would_grow_is_refused_before_it_is_read(file: Path) -> None:
    rebuild(file, add("bundle/bomb", bytes(1_000_000), method=zipfile.ZIP_DEFLATED))
    assert "cut short or damaged" in refusal(file)


def test_entries_that_share_their_bytes(file: Path) -> None:
    """A hundred names for one entry: the sum of their sizes is larger than the file."""
    raw = file.read_bytes()
    end = raw.rindex(b"PK\5\6")
    fields = list(struct.unpack("<4s4H2LH", raw[end:]))
    directory = raw[fields[6] : end]
    fields[3] = fields[4] = fields[3] * 100
    fields[5] *= 100
    file.write_bytes(raw[: fields[6]] + directory * 100 + struct.pack("<4s4H2LH", *fields))
    assert "cut short or damaged" in refusal(file)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_given_twice(file: Path) -> None:
    rebuild(file, add("bundle/text.json"))
    assert "cut short or damaged" in refusal(file)


def test_entries_that_an_index_or_a_manifest_does_not_name(file: Path) -> None:
    good = file.read_bytes()
    rebuild(file, lambda entries, records: entries.append((entry("bundle/extra"), b"evil")))
    assert "holds other files than its index names" in refusal(file)
    file.write_bytes(good)
    rebuild(file, add("bundle/extra"))
    assert "holds extra, which its manifest does not name" in refusal(file)
    file.write_bytes(good)
    rebuild(file, lambda entries, records: entries.pop(0) and None)
    assert "holds other files than its index names" in refusal(file)


def test_code_that_differs_from_its_record(file: Path) -> None:
    def change(entries: Entries, records: dict[str, object]) -> None:
        at = next(number for number, (made, _) in enumerate(entries) if made.filename == "__main__.py")
        entries[at] = (entry("__main__.py"), b"print('evil')")

    rebuild(file, change)
    assert "was altered in __main__.py" in refusal(file)


def test_what_is_no_pack_at_all(one: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("a", "b")
    for path, message in (
        (tmp_path / "other.zip", "is no pack"),
        (tmp_path / "pipe", "is no file"),
        (one, "is no file"),
        (tmp_path / "nothing", "No such file"),
    ):
        with pytest.raises(PackError, match=message), opened(path):
            pass


def test_a_newer_format_says_so(file: Path) -> None:
    raw = file.read_bytes()
    with opened(file) as found:
        index = json.dumps(found.index, indent=1, sort_keys=True)
    newer = index.replace('"format": 1', '"format": 2')
    with zipfile.ZipFile(file) as archive:
        entries = [(entry(name), archive.read(name)) for name in archive.namelist() if name != "pack.json"]
    with open(file, "wb") as stream:
        stream.write(HEAD)
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(entry("pack.json"), newer)
            for made, data in entries:
                archive.writestr(made, data)
    assert raw != file.read_bytes()
    assert "has format 2, this edgevoice reads 1: update edgevoice" in refusal(file)


def test_places_that_are_none(file: Path, tmp_path: Path) -> None:
    (tmp_path / "documents").mkdir()
    (tmp_path / "documents" / "diary").write_text("private")
    with pytest.raises(EdgevoiceError, match="holds other things"):
        put(file, tmp_path / "documents")
    assert {path.name for path in (tmp_path / "documents").iterdir()} == {"diary"}
    with pytest.raises(EdgevoiceError, match="is a file"):
        put(file, file)


def test_a_failed_self_test_leaves_nothing_of_a_first_install(file: Path, tmp_path: Path) -> None:
    from edgevoice.deploy.selftest import Report

    root = tmp_path / "new" / "device"
    with pytest.raises(EdgevoiceError, match="it only hums"):
        install(
            file,
            root,
            lambda found: local.deploy(found, root, self_test=lambda *_: Report(["it only hums"])),
        )
    assert not root.exists()


def test_the_user_reads_of_the_pack_not_of_where_it_was_unpacked(file: Path, tmp_path: Path) -> None:
    root = tmp_path / "device"
    root.mkdir()
    (root / "keys").mkdir()
    with pytest.raises(EdgevoiceError, match=r"one\.edgevoice is not signed"):
        put(file, root)


def test_one_install_at_a_time(file: Path, tmp_path: Path) -> None:
    from edgevoice.pack.incoming import work_folder

    root = tmp_path / "device"
    put(file, root)
    with work_folder(root), pytest.raises(EdgevoiceError, match=r"another install into .* is running"):
        put(file, root)
    put(file, root)
    (root / "incoming" / "unpacked" / "left").mkdir(parents=True)  # by a killed run
    put(file, root)
    assert not (root / "incoming").exists()
