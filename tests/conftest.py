"""Voices that the tests share, made once a session."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

MakeVoice = Callable[..., Path]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--bundles", type=Path, help="what tests/tiny_bundle.py wrote: for an environment without torch"
    )
    parser.addoption(
        "--gpu-bundle", type=Path, help="a bundle that was compressed for this machine's GPU, for tests/gpu"
    )


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a run share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "voices"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def make_voice(shared: Path) -> MakeVoice:
    """`make_voice(name, **options)`: NAME.onnx from tests/tiny_voice.py, shared by a run's workers.

    A name stands for one set of options.
    """
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from filelock import FileLock  # torch brings it
    from tiny_voice import make

    def built(name: str, **options: Any) -> Path:
        ready = shared / f"{name}.onnx"
        with FileLock(shared / f"{name}.lock"):
            if not Path(f"{ready}.json").exists():  # the last file that is written
                make(ready, **options)
        return ready

    return built


@pytest.fixture(scope="session")
def tiny_voice(make_voice: MakeVoice) -> Path:
    """A voice with one speaker; NAME.onnx.json lies beside it."""
    return make_voice("tiny")


@pytest.fixture(scope="session")
def tiny_multispeaker_voice(make_voice: MakeVoice) -> Path:
    """A voice with three speakers."""
    return make_voice("tiny_multispeaker", speakers=3, seed=1, resblock="1")


@pytest.fixture(scope="session")
def tiny_bundle(request: pytest.FixtureRequest, shared: Path) -> Path:
    """The tiny voice as a bundle's folder, FP32 only. Do not write to it: copy it."""
    return _bundle("tiny", request, shared)


@pytest.fixture(scope="session")
def tiny_multispeaker_bundle(request: pytest.FixtureRequest, shared: Path) -> Path:
    """The voice with three speakers as a bundle's folder."""
    return _bundle("tiny_multispeaker", request, shared)


def _bundle(name: str, request: pytest.FixtureRequest, shared: Path) -> Path:
    ready: Path | None = request.config.getoption("--bundles")
    if ready is not None:
        return ready / name
    voice: Path = request.getfixturevalue(f"{name}_voice")
    from filelock import FileLock
    from tiny_bundle import make

    with FileLock(shared / f"{name}.bundle.lock"):
        if not (shared / name).exists():
            make(voice, shared / name)
    return shared / name
