"""A wheel of the tree, and an environment that holds it with the base dependencies and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import msgspec
import pytest

from edgevoice import bundle
from tests.project.tree import ROOT, sources

BUILD_FILES = ("pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="session")
def copied_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as a clean checkout has it: a build in place would take old files out of build/."""
    copy = tmp_path_factory.mktemp("tree")
    for path in [*sources(), *map(Path, BUILD_FILES)]:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, copy / path)
    return copy


@pytest.fixture(scope="session")
def wheel(copied_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the source distribution, so that one is complete too."""
    out = tmp_path_factory.mktemp("dist")
    checked(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(copied_tree))
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def empty_venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` folder of a new environment with ``pip install edgevoice`` and no extra."""
    home = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(home, with_pip=False)  # the outer pip installs into it, which saves seconds
    pip = (sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "--disable-pip-version-check")
    checked(*pip, "install", "--no-compile", str(wheel))
    return home / "bin"


@pytest.fixture(scope="session")
def lexicon_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny voice spoken through the base install's own phonemizer: espeak-ng is an extra."""
    made = bundle.read(tiny_bundle)
    text = msgspec.structs.replace(made.manifest.text, phonemizers=["lexicon"])
    manifest = msgspec.structs.replace(made.manifest, text=text)
    folder = tmp_path_factory.mktemp("lexicon") / "bundle"
    return bundle.write(folder, manifest, {name: made.file(name) for name in manifest.files}).path


def checked(*command: str) -> str:
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=both, text=True, timeout=280)
    assert done.returncode == 0, done.stdout
    return done.stdout
