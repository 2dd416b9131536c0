"""What a kit holds and for whom, without a package index."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from remote import fake_kit

from edgevoice.errors import EdgevoiceError
from edgevoice.kit import install, make, resolve, wheel
from edgevoice.kit.device import Device, needed_glibc

ORIN = Device("3.10", "aarch64", "2.35")


@pytest.mark.parametrize(
    ("name", "minor"),
    [
        ("numpy-2.2.6-cp310-cp310-manylinux_2_17_aarch64.manylinux2014_aarch64.whl", 17),
        ("onnxruntime-1.23.2-cp310-cp310-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl", 27),
        ("soundfile-0.13.1-py2.py3-none-manylinux_2_28_x86_64.whl", 28),
        ("flatbuffers-25.2.10-py2.py3-none-any.whl", 0),
    ],
)
def test_the_c_library_that_a_wheel_needs(name: str, minor: int) -> None:
    assert install.WHEEL.match(name)
    assert needed_glibc(name) == minor


@pytest.mark.parametrize(
    "name", ["../x-1-py3-none-any.whl", "x.whl", "x-1.tar.gz", "-x-1-py3-none-any.whl", ".whl"]
)
def test_what_is_no_wheel(name: str) -> None:
    assert not install.WHEEL.match(name)


def test_platforms_begin_with_the_newest() -> None:
    assert ORIN.platforms[0] == "manylinux_2_35_aarch64"
    assert ORIN.platforms[-2:] == ["manylinux_2_17_aarch64", "manylinux2014_aarch64"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("3.9", "aarch64"), "Python 3.9 is not supported"),
        (("3.10", "armv7l"), "no kit for 'armv7l'"),
        (("3.10", "aarch64", "2.12"), "needs glibc 2.17 or newer, not 2.12"),
        (("3.10", "aarch64", ""), "not none"),
    ],
)
def test_a_device_that_there_is_no_kit_for(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(EdgevoiceError, match=message):
        Device(*words)


def wheel_that_needs(folder: Path, *requirements: str) -> Path:
    lines = "".join(f"Requires-Dist: {requirement}\n" for requirement in requirements)
    place = folder / "own-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr(
            "own-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: own\nVersion: 1.0\n{lines}"
        )
    return place


def test_markers_are_read_for_the_device(tmp_path: Path) -> None:
    """pip would read them for the Python that runs it."""
    rows = resolve.requirements(
        wheel_that_needs(
            tmp_path,
            "tomli>=2; python_version < '3.11'",
            "numpy>=2.3; python_version >= '3.11'",
            "intel-openmp; platform_machine == 'x86_64'",
            "pywin32; sys_platform == 'win32'",
            "espeakng-loader>=0.2; extra == 'espeak'",
            "torch; extra == 'train'",
            "msgspec[yaml]>=0.18",
        ),
        ORIN,
        ["espeak"],
    )
    assert sorted(rows) == ["espeakng-loader>=0.2", "msgspec[yaml]>=0.18", "tomli>=2"]


def test_a_file_that_is_no_wheel(tmp_path: Path) -> None:
    (tmp_path / "own-1.0-py3-none-any.whl").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(EdgevoiceError, match="is no wheel"):
        resolve.requirements(tmp_path / "own-1.0-py3-none-any.whl", ORIN, [])


def test_without_an_index_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_CONSTRAINT", raising=False)
    with pytest.raises(EdgevoiceError, match=r"no wheels for Python 3\.10 on aarch64: .*--kit"):
        make.make(tmp_path / "kit", ORIN)
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(EdgevoiceError, match="exists and is no kit"):
        make.make(tmp_path / "photos", ORIN)


def test_the_own_wheel_is_the_same_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        wheel.make(folder)
    (one,), (two,) = first.iterdir(), second.iterdir()
    assert one.read_bytes() == two.read_bytes()


def test_a_lock_pins_versions_and_hashes(tmp_path: Path) -> None:
    kit = fake_kit.make_kit(tmp_path / "kit")
    here = fake_kit.device()
    pip = fake_kit.pip_wheel()
    version = pip.name.split("-")[1]
    assert make.pinned(kit, here) == f"pip=={version} --hash=sha256:{install.sha256(pip)}\n"
    other = Device("3.10" if here.python != "3.10" else "3.12", here.machine, here.glibc)
    with pytest.raises(EdgevoiceError, match="pins wheels for Python"):
        make.pinned(kit, other)


def test_the_verb_refuses_in_one_line_and_one_document() -> None:
    program = Path(sys.executable).with_name("edgevoice")
    words = [program, "kit", "--machine", "armv7l", "-o", "/nonexistent/kit", "--json"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "no kit for 'armv7l'" in json.loads(done.stdout)["error"]
