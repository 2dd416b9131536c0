from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

onnx = pytest.importorskip("onnx")

HOP = 256
IDS = np.array([1, 0, 20, 0, 59, 0, 24, 0, 120, 0, 27, 0, 100, 0, 3, 0, 35, 0, 62, 0, 122, 0, 2], np.int64)


class Speaker:
    """The whole graph under ONNX Runtime, with the rounded durations as a second output."""

    def __init__(self, path: Path) -> None:
        model = onnx.load(path)
        self.rounded = next(node.output[0] for node in model.graph.node if node.op_type == "Ceil")
        model.graph.output.append(onnx.helper.make_empty_tensor_value_info(self.rounded))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def __call__(
        self, ids: np.ndarray = IDS, scales: tuple[float, float, float] = (0, 1, 0), sid: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        feeds = {
            "input": ids[None],
            "input_lengths": np.array([ids.size], np.int64),
            "scales": np.array(scales, np.float32),
        }
        if sid is not None:
            feeds["sid"] = np.array([sid], np.int64)
        sound, durations = self.session.run(["output", self.rounded], feeds)
        return sound, durations.ravel()


@pytest.fixture(scope="module")
def single(tiny_voice: Path) -> Speaker:
    return Speaker(tiny_voice)


@pytest.fixture(scope="module")
def several(tiny_multispeaker_voice: Path) -> Speaker:
    return Speaker(tiny_multispeaker_voice)


def test_durations_are_a_few_frames_and_make_the_length(single: Speaker, several: Speaker) -> None:
    for sound, durations in (single(scales=(0.667, 1, 0.8)), several(scales=(0.667, 1, 0.8), sid=2)):
        assert sound.shape == (1, 1, 1, HOP * int(durations.sum()))
        assert durations.min() >= 1
        assert 1.5 < durations.mean() < 6
        assert len(set(durations)) > 1


def test_sound_is_audible_and_not_clipped(single: Speaker, several: Speaker) -> None:
    for sound, _ in (single(), several(sid=0)):
        assert 0.02 < sound.std() < 0.5
        assert abs(float(sound.mean())) < 0.02
        assert np.abs(sound).max() < 1


def test_without_noise_it_repeats_itself_and_with_noise_it_does_not(single: Speaker) -> None:
    assert np.array_equal(single()[0], single()[0])
    noisy = (0.667, 1, 0)  # no noise on the durations, so the lengths agree
    assert not np.allclose(single(scales=noisy)[0], single(scales=noisy)[0], atol=1e-3)


def test_noise_moves_durations(single: Speaker) -> None:
    assert len({tuple(single(scales=(0, 1, 0.8))[1]) for _ in range(4)}) > 1


def test_phonemes_change_the_sound(single: Speaker) -> None:
    other = IDS.copy()
    other[8] = 14
    first, second = single()[0], single(other)[0]
    assert first.shape != second.shape or not np.allclose(first, second, atol=1e-3)


def test_slower_is_longer(single: Speaker) -> None:
    assert single(scales=(0, 2, 0))[1].sum() > 1.5 * single()[1].sum()


def test_speakers_differ(several: Speaker) -> None:
    spoken = [several(sid=sid) for sid in range(3)]
    assert len({tuple(durations) for _, durations in spoken}) == 3
    heads = [sound[..., : 4 * HOP] for sound, _ in spoken]
    assert not np.allclose(heads[0], heads[1], atol=1e-2)


@pytest.mark.parametrize("length", [1, 2, 4, 5, 6, 300])
def test_any_length_works(single: Speaker, length: int) -> None:
    """Relative positions reach four symbols a side, so short texts take another way through the pads."""
    sound, durations = single(np.resize(IDS, length))
    assert durations.size == length
    assert np.isfinite(sound).all()


@pytest.mark.parametrize("voice", ["tiny_voice", "tiny_multispeaker_voice"])
def test_graph_has_the_marks_of_a_released_voice(voice: str, request: pytest.FixtureRequest) -> None:
    model = onnx.load(request.getfixturevalue(voice))
    count = Counter(node.op_type for node in model.graph.node)
    maker = {output: node for node in model.graph.node for output in node.output}
    assert model.opset_import[0].version == 15
    assert model.ir_version <= 8
    assert (count["Ceil"], count["RandomNormalLike"], count["ConvTranspose"]) == (1, 2, 3)
    assert min(count[op] for op in ("NonZero", "GatherND", "ScatterND")) >= 12  # the splines
    assert count["Constant"] == count["Identity"] == 0
    assert sum(node.op_type == "Gather" and node.input[0] == "scales" for node in model.graph.node) == 3
    ceil = next(node for node in model.graph.node if node.op_type == "Ceil")
    scaled = maker[ceil.input[0]]
    assert scaled.op_type == "Mul"
    assert any(name in maker and "scales" in maker[name].input for name in scaled.input)
    initialisers = {tensor.name for tensor in model.graph.initializer}
    inputs = [tensor.name for tensor in model.graph.input]
    assert ("sid" in initialisers) != ("sid" in inputs)


def test_json_lists_the_symbols(tiny_voice: Path, tiny_multispeaker_voice: Path) -> None:
    config = json.loads(Path(f"{tiny_voice}.json").read_text(encoding="utf-8"))
    ids = config["phoneme_id_map"]
    assert [ids[symbol] for symbol in "_^$ ə!ˈᵻ"] == [[0], [1], [2], [3], [59], [4], [120], [128]]
    assert sorted(ids.values()) == [[index] for index in range(151)]
    assert config["num_speakers"] == 1
    config = json.loads(Path(f"{tiny_multispeaker_voice}.json").read_text(encoding="utf-8"))
    assert config["speaker_id_map"] == {"speaker_0": 0, "speaker_1": 1, "speaker_2": 2}
