"""What a Piper voice's own settings ask for, and what they rule out."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compress import teachers, verify
from compress.draft import Draft, prepare, speak
from compress.recipe import Recipe
from compress.workspace import Workspace
from edgevoice import EdgevoiceError

pytest.importorskip("onnx")

SENTENCES = ["One sentence to compare."]


def _draft(voice: Path, folder: Path, **inference: Any) -> Draft:
    folder.mkdir()
    copy = folder / voice.name
    shutil.copy(voice, copy)
    described = json.loads(Path(f"{voice}.json").read_text())
    described["inference"].update(inference)
    Path(f"{copy}.json").write_text(json.dumps(described))
    return prepare(teachers.read(copy), Recipe(), Workspace(folder / "work"))


def test_a_voice_speaks_at_its_own_pace(tiny_voice: Path, tmp_path: Path) -> None:
    plain = _draft(tiny_voice, tmp_path / "plain")
    slow = _draft(tiny_voice, tmp_path / "slow", length_scale=1.5)
    ratio = speak(slow, SENTENCES, 0).durations[0] / speak(plain, SENTENCES, 0).durations[0]
    np.testing.assert_allclose(ratio, 1.5, rtol=1e-4)
    assert verify.against_file(slow, SENTENCES) < 1e-4


def test_what_changes_the_sound_changes_the_identity(tiny_voice: Path, tmp_path: Path) -> None:
    drafts = [
        _draft(tiny_voice, tmp_path / "plain"),
        _draft(tiny_voice, tmp_path / "slow", length_scale=1.5),
        _draft(tiny_voice, tmp_path / "still", noise_scale=0.1),
    ]
    assert len({draft.identity for draft in drafts}) == 3
    assert _draft(tiny_voice, tmp_path / "same").identity == drafts[0].identity


def test_a_voice_of_other_phonemes_is_refused(tiny_voice: Path, tmp_path: Path) -> None:
    copy = tmp_path / tiny_voice.name
    shutil.copy(tiny_voice, copy)
    described = {**json.loads(Path(f"{tiny_voice}.json").read_text()), "phoneme_type": "text"}
    Path(f"{copy}.json").write_text(json.dumps(described))
    with pytest.raises(EdgevoiceError, match="'text' symbols"):
        teachers.read(copy)
