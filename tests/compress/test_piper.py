"""What a Piper voice's own settings ask for, what they rule out, and what is no Piper voice."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from compress import teachers, verify
from compress.draft import Draft, prepare, speak
from compress.recipe import Recipe
from compress.teachers import piper
from compress.workspace import Workspace
from edgevoice import EdgevoiceError

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


# What is no Piper voice.


def beside(voice: Path) -> Path:
    return voice.with_name(f"{voice.name}.json")


@pytest.fixture
def copy(tiny_voice: Path, tmp_path: Path) -> Path:
    shutil.copy(beside(tiny_voice), tmp_path)
    return Path(shutil.copy(tiny_voice, tmp_path))


def refusal(path: Path) -> str:
    with pytest.raises(EdgevoiceError) as caught:
        teachers.read(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_folder_with_one_voice_is_that_voice(copy: Path) -> None:
    copy.write_bytes(b"")
    assert "tiny.onnx is no whole ONNX file" in refusal(copy.parent)  # found, and then looked into
    shutil.copy(copy, copy.with_name("second.onnx"))
    assert "holds 2 .onnx files" in refusal(copy.parent)


def test_what_is_not_there_or_of_another_kind_says_what_to_name(tmp_path: Path) -> None:
    assert "does not exist: name a Piper voice (NAME.onnx with" in refusal(tmp_path / "none.onnx")
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert "no voice that edgevoice reads" in refusal(tmp_path / "a.wav")
    assert "holds 0 .onnx files" in refusal(tmp_path)


def test_a_voice_without_its_json_is_told_so(copy: Path) -> None:
    beside(copy).unlink()
    assert f"{copy.name}.json is missing" in refusal(copy)


@pytest.mark.parametrize("raw", [b"", b"{", b"\xff\xfe", b"<html>"])
def test_a_json_that_is_none_is_refused(copy: Path, raw: bytes) -> None:
    beside(copy).write_bytes(raw)
    assert "is no JSON" in refusal(copy)


ODD = {
    "audio": [{}, None, [], 22050],
    "audio.sample_rate": ["22050", None, -1, 0, 22050.5, 1 << 40, float("nan"), True],
    "espeak": ["en-us", None],
    "espeak.voice": [None, 7, "", "en\nus", "e" * 1000, "../en"],
    "inference": [None, 1.0, []],
    "inference.noise_scale": ["0.667", None, -0.1, 11, float("nan"), float("inf"), [0.5]],
    "inference.length_scale": ["1", None, 0, -1, 1e9, float("nan")],
    "inference.noise_w": [{}, -1, float("-inf")],
    "phoneme_id_map": [[], None, {"a": "1"}, {"a": [-1]}, {"a": [1.5]}, {"a": None}, {"a": [1] * 99}],
    "speaker_id_map": [[], {"anna": "0"}, {"anna": -1}, {"anna": None}],
    "phoneme_type": [7, ["espeak"]],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, row in ODD.items() for value in row])
def test_a_field_of_another_kind_is_named(copy: Path, field: str, value: Any) -> None:
    config = json.loads(beside(copy).read_text("utf-8"))
    *folders, last = field.split(".")
    place = config
    for folder in folders:
        place = place[folder]
    place[last] = value
    beside(copy).write_text(json.dumps(config), "utf-8")
    message = refusal(copy)
    assert f"`$.{field}" in message
    assert "does not describe a Piper voice" in message
    assert len(message) < 500


@pytest.mark.parametrize("missing", ["audio", "espeak", "inference", "phoneme_id_map"])
def test_a_missing_field_is_named(copy: Path, missing: str) -> None:
    config = json.loads(beside(copy).read_text("utf-8"))
    del config[missing]
    beside(copy).write_text(json.dumps(config), "utf-8")
    assert f"missing required field `{missing}`" in refusal(copy)


def test_a_json_of_something_else_is_refused(copy: Path) -> None:
    beside(copy).write_text("[1]", "utf-8")
    assert "does not describe a Piper voice" in refusal(copy)
    beside(copy).write_text("[" * 100_000 + "]" * 100_000, "utf-8")
    assert "is no JSON" in refusal(copy)
    beside(copy).write_bytes(b" " * (9 << 20))
    assert "is larger than any voice's settings" in refusal(copy)


def test_an_id_that_the_voice_has_no_row_for_is_refused(copy: Path) -> None:
    config = json.loads(beside(copy).read_text("utf-8"))
    config["phoneme_id_map"]["a"] = [100_000]
    beside(copy).write_text(json.dumps(config), "utf-8")
    assert "phoneme_id_map gives 'a' the id 100000, and the voice knows" in refusal(copy)


def test_a_truncated_voice_is_refused_wherever_it_ends(copy: Path) -> None:
    raw = copy.read_bytes()
    for length in (0, 1, 7, 100, *range(1000, len(raw), len(raw) // 12), len(raw) - 1):
        copy.write_bytes(raw[:length])
        assert "no whole ONNX file" in refusal(copy)


def test_another_model_is_no_voice(copy: Path) -> None:
    value = onnx.helper.make_tensor_value_info
    ends = [value(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    node = onnx.helper.make_node("Neg", ["x"], ["y"])
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:])), copy)
    assert "no input 'input'" in refusal(copy)


def test_a_graph_with_another_structure_says_what_differs(copy: Path) -> None:
    model = onnx.load(copy)
    next(node for node in model.graph.node if node.op_type == "Ceil").op_type = "Floor"
    onnx.save(model, copy)
    assert "has 0 Ceil nodes where a Piper voice has 1" in refusal(copy)
    model = onnx.load(copy)
    for node in model.graph.node:
        if node.op_type == "RandomNormalLike":
            node.op_type = "RandomUniformLike"
        if node.op_type == "Floor":
            node.op_type = "Ceil"
    onnx.save(model, copy)
    assert "has 0 RandomNormalLike nodes" in refusal(copy)


def operators(model: onnx.ModelProto) -> list[str]:
    return sorted(node.op_type for node in model.graph.node)


def test_names_do_not_matter(tiny_multispeaker_voice: Path, tmp_path: Path) -> None:
    """Every tensor and node renamed but the exporter's inputs: the same stages come out."""
    model = onnx.load(tiny_multispeaker_voice)
    kept = {tensor.name for tensor in model.graph.input} | {"output"}
    new: dict[str, str] = {"": ""}
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
        for names in (node.input, node.output):
            names[:] = [name if name in kept else new.setdefault(name, f"t{len(new)}") for name in names]
    for tensor in model.graph.initializer:
        tensor.name = new.get(tensor.name, tensor.name)
    del model.graph.value_info[:]
    renamed = tmp_path / tiny_multispeaker_voice.name
    onnx.save(model, renamed)
    shutil.copy(beside(tiny_multispeaker_voice), tmp_path)
    plain, other = teachers.read(tiny_multispeaker_voice), teachers.read(renamed)
    np.testing.assert_array_equal(plain.speakers, other.speakers)
    assert plain.speaker_names == other.speaker_names == ("speaker_0", "speaker_1", "speaker_2")
    for name, stage in plain.stages.items():
        assert operators(stage.model) == operators(other.stages[name].model)
        assert (stage.context, stage.noise, stage.takes) == (
            other.stages[name].context,
            other.stages[name].noise,
            other.stages[name].takes,
        )


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        (None, "unknown: see the voice's own card"),
        ("# Voice\n* License: CC0\n", "CC0"),
        ("no word of it", "unknown: see the voice's own card"),
    ],
)
def test_the_licence_is_what_the_card_says(copy: Path, card: str | None, licence: str) -> None:
    if card is not None:
        (copy.parent / "MODEL_CARD").write_text(card, "utf-8")
    assert piper._licence(copy).name == licence
