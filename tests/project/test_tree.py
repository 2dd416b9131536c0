"""No file names the machine it was made on, and none is too large to travel."""

from __future__ import annotations

import re

import pytest

from tests.project.tree import ROOT, files

LIMIT = 10_000_000

FOLDERS = ("root", "work", "opt/wheels", "opt/pypi")
HOSTS = ("pypi.org", "pythonhosted.org", "npmjs.org", "npmjs.com", "debian.org")

# Put together here, so that this file passes its own check.
MACHINE_PATH = re.compile(rf"(?<![\w.~*-])/(?:{'|'.join(FOLDERS)})(?![\w-])".encode())
REGISTRY_HOST = re.compile(rf"[/.](?:{'|'.join(map(re.escape, HOSTS))})\b".encode())


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY_HOST], ids=["machine_path", "registry_host"])
def test_no_file_names_one(pattern: re.Pattern[bytes]) -> None:
    found = [
        f"{path}:{number}: {line.decode(errors='replace').strip()[:100]}"
        for path in files()
        for number, line in enumerate((ROOT / path).read_bytes().split(b"\n"), start=1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("text", ["cd /{}/project", '"/{}"', "--find-links=/{}", "file:///{}/x"])
def test_a_machine_path_is_found(folder: str, text: str) -> None:
    assert MACHINE_PATH.search(text.format(folder).encode())


@pytest.mark.parametrize("text", ["targets/{}/x", "./{}/x", "~/{}/x", "/{}bench/x", "a/{}"])
def test_a_path_of_the_project_is_none(text: str) -> None:
    assert not MACHINE_PATH.search(text.format("work").encode())


@pytest.mark.parametrize("host", HOSTS)
def test_a_registry_host_is_found(host: str) -> None:
    assert REGISTRY_HOST.search(f"https://{host}/simple".encode())


def test_no_file_is_larger_than_ten_megabytes() -> None:
    large = {str(path): size for path in files() if (size := (ROOT / path).stat().st_size) > LIMIT}
    assert not large
