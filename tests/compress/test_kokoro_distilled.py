"""Kokoro through a whole compress: its stages chain to its file, and students of all of them speak."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from tiny_kokoro import STYLE, folder_of_one, voices

from compress import pipeline, recipe, teachers
from compress.distil.config import training_key
from compress.distil.evaluate import evaluate
from compress.distilled import Origin
from compress.labels.store import Labels
from edgevoice import EdgevoiceError, Voice, manifest
from targets import load as load_target

TABLES = """
[chunks]
first = 8
long = 32
[judge]
sentences = 3
teacher_sentences = 3
[labels]
sentences = 48
with_audio = 8
[gate]
log_mel_l1 = 5.0
[student_gate]
log_mel_l1 = 9.0
[quantize]
sentences = 8
method = "minmax"
search_seconds = 0.0
[distil.vocoder]
width = 8
kernels = [3]
n_fft = 1200
harmonics = 2
source = true
[distil.vocoder.loss]
sizes = [256, 512]
draw = 1
[distil.vocoder.schedule]
steps = 2
items = 2
frames = 16
[distil.acoustic]
latents = 4
width = 8
kernels = [3]
[distil.acoustic.schedule]
steps = 2
items = 2
frames = 16
[distil.encoder]
hidden = 6
width = 8
kernels = [3, 3]
attention_after = [1]
duration_width = 8
duration_kernels = [3]
[distil.finish.adversary]
sizes = [256]
width = 4
[distil.finish.schedule]
steps = 1
items = 2
frames = 16
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder_of_one(tmp_path_factory.mktemp("kokoro") / "mine")


def test_the_stages_chain_to_the_file_in_every_voice(folder: Path) -> None:
    voice = teachers.read(folder)
    assert voice.speaker_names == ("jm_kumo", "ann", "bob")
    assert voice.speakers is not None
    for count, row in zip(voice.speaker_counts, voice.speakers[1], strict=True):
        np.testing.assert_array_equal(row, voices()["ann"][count - 2 - 1, 0])  # ids have two ends
    assert (voice.speaker_counts[0], voice.speaker_counts[-1]) == (3, 42)
    sessions = {
        name: ort.InferenceSession(stage.model.SerializeToString(), providers=["CPUExecutionProvider"])
        for name, stage in voice.stages.items()
    }

    def run(stage: manifest.StageName, **feeds: np.ndarray) -> list[np.ndarray]:
        taken = {tensor.name for tensor in sessions[stage].get_inputs()}  # not each stage asks for the style
        return sessions[stage].run(None, {name: feeds[name] for name in taken})

    whole = ort.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    ids = np.array([[0, 3, 7, 1, 12, 5, 0]], np.int64)
    for row in range(3):
        style = voice.speakers[row, 4:5]
        assert style.shape == (1, STYLE)
        hidden, durations = run("encoder", phonemes=ids, speaker=style)
        index = np.repeat(np.arange(ids.shape[1]), durations[0].astype(int))
        (latents,) = run("acoustic", frames=hidden[:, :, index], speaker=style)
        (ours,) = run("vocoder", latents=latents, speaker=style)
        (theirs,) = whole.run(None, {"tokens": ids, "style": style, "speed": np.ones(1, np.float32)})
        np.testing.assert_allclose(ours.ravel(), theirs.ravel(), atol=1e-5)


def test_it_does_not_speak_itself(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="--recipe distill-kokoro"):
        pipeline.compress(folder, load_target("cpu"), recipe.load("split"), tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_students_of_it_are_trained_judged_and_speak_in_every_voice(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TABLES)
    chosen = recipe.load(str(file))
    training = tmp_path / "training"
    made = pipeline.compress(folder, load_target("cpu"), chosen, tmp_path / "bundle", origin=Origin(training))
    assert made.exactness < 1e-4
    assert made.chunked < 1e-4
    assert made.bundle.manifest.phase is not None
    assert made.bundle.manifest.against_teacher is not None
    voice = Voice.load(made.bundle.path, threads=1)
    assert voice.speakers == ["jm_kumo", "ann", "bob"]
    sounds = [
        np.concatenate(list(voice.stream("Hello, all of you.", speaker=speaker)))
        for speaker in (None, "ann", {"ann": 0.5, "bob": 0.5})
    ]
    assert all(np.isfinite(sound).all() and len(sound) > 1000 for sound in sounds)
    assert not np.array_equal(sounds[0], sounds[1])
    config, trained = chosen.students(), made.bundle.manifest.stages["vocoder"].trained
    assert config is not None
    assert trained is not None
    assert (trained.steps, trained.finish_steps) == (3, 1)
    assert trained.recipe == training_key(config, "vocoder")  # by it a file of these weights is known
    labels = Labels(training / "labels")
    text = made.bundle.manifest.stages["encoder"].trained
    assert text is not None
    hours = [labels.seconds(with_audio) / 3600 for with_audio in (labels.with_audio, None)]
    assert hours[1] - hours[0] > 0.002
    assert (trained.label_hours, text.label_hours) == pytest.approx(hours, abs=0.001)
    found = evaluate(file, labels.root, training, labels.root, 1, ["spectral"], ["finish"])
    assert found["figures"]["log_mel_l1"]["mean"] > 0
    again = pipeline.compress(
        folder, load_target("cpu"), chosen, tmp_path / "again", origin=Origin(training, as_trained=True)
    )
    assert again.bundle.manifest.stages["vocoder"].trained == made.bundle.manifest.stages["vocoder"].trained
