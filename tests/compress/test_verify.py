"""The stages in a chain equal the whole voice file with the same noise, and a wrong stage is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnx")

import onnx
from onnx import numpy_helper

from compress import draft, teachers, verify
from compress.draft import Draft
from compress.recipe import Recipe
from compress.staged import StagedStage, StagedVoice
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName
from edgevoice.text import espeak

pytestmark = pytest.mark.skipif(espeak.missing() is not None, reason=str(espeak.missing()))

SENTENCES = [
    "Good morning.",
    "What is the time, please?",
    "No!",
    "One more sentence, with some more words in it.",
]
VOICES = ["tiny_voice", "tiny_multispeaker_voice"]


@pytest.fixture(scope="module")
def staged(tiny_voice: Path) -> StagedVoice:
    return teachers.read(tiny_voice)


def prepared(voice: StagedVoice, folder: Path) -> Draft:
    return draft.prepare(voice, Recipe("test"), Workspace(folder / "work"))


@pytest.mark.parametrize("name", VOICES)
def test_the_chain_equals_the_file(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Four sentences: with three speakers, the first one twice."""
    voice = teachers.read(request.getfixturevalue(name))
    assert verify.against_file(prepared(voice, tmp_path), SENTENCES) < 1e-4


@pytest.mark.parametrize("stage", ["acoustic", "vocoder"])
def test_one_changed_weight_is_found(staged: StagedVoice, stage: StageName, tmp_path: Path) -> None:
    changed = onnx.ModelProto()
    changed.CopyFrom(staged.stages[stage].model)
    weights = [tensor for tensor in changed.graph.initializer if len(tensor.dims) == 3]
    values = numpy_helper.to_array(weights[-1]).copy()
    values *= 1.2
    weights[-1].CopyFrom(numpy_helper.from_array(values, weights[-1].name))
    stages: dict[StageName, StagedStage] = {
        **staged.stages,
        stage: replace(staged.stages[stage], model=changed),
    }
    wrong = prepared(replace(staged, stages=stages), tmp_path)
    with pytest.raises(EdgevoiceError, match="differs from its file"):
        verify.against_file(wrong, SENTENCES[:2])


@pytest.mark.parametrize(("difference", "said"), [(0.0, "exactly"), (1.4e-6, "within 1.4e-06")])
def test_how_equal_is_said_in_words(difference: float, said: str) -> None:
    assert verify.within(difference) == said
