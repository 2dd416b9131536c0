"""Voices that the tests share, made once a session."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MakeVoice = Callable[..., Path]


@pytest.fixture(scope="session")
def make_voice(tmp_path_factory: pytest.TempPathFactory) -> MakeVoice:
    """`make_voice(name, **options)`: NAME.onnx from tests/tiny_voice.py, shared by a run's workers.

    A name stands for one set of options.
    """
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from filelock import FileLock  # torch brings it
    from tiny_voice import make

    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "voices"
    shared.mkdir(exist_ok=True)

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
