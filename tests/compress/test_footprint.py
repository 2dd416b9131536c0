"""A process that measures and fails, silently or by never ending, is one line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from compress import footprint
from edgevoice.errors import EdgevoiceError
from targets import overhead
from targets.errors import TargetError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that stands for the interpreter."""
    path = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(path))
    return path


def write(program: Path, line: str) -> None:
    program.write_text(f"#!/bin/sh\n{line}\n")
    program.chmod(0o755)


def test_a_silent_failure_says_the_status(program: Path) -> None:
    write(program, "exit 7")
    with pytest.raises(EdgevoiceError, match=r"memory of x\.onnx: the process ended with status 7"):
        footprint.arena_bytes(Path("x.onnx"), {})


def test_a_process_that_does_not_end_is_stopped(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(program, "exec sleep 600")
    monkeypatch.setattr(footprint, "LIMIT_SECONDS", 0.2)
    monkeypatch.setattr(overhead, "LIMIT_SECONDS", 0.2)
    with pytest.raises(EdgevoiceError, match=r"memory of x\.onnx: the process did not end within 0\.2 s"):
        footprint.arena_bytes(Path("x.onnx"), {})
    with pytest.raises(TargetError, match=r"did not end within 0\.2 s"):
        overhead.measure()
