"""A voice's own file, not cut, said with the inputs that its stages were given."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx_graphsurgeon as gs
import onnxruntime as ort
from numpy.typing import NDArray

from compress.staged import StagedVoice
from compress.teachers.piper import load_model
from compress.teachers.staged import session

Feeds = Mapping[str, Mapping[str, NDArray[np.generic]]]
Say = Callable[[Feeds, int], NDArray[np.float32]]


def whole(voice: StagedVoice) -> Say:
    """A function of each stage's inputs for one sentence, and the sentence's number, to samples f32 [N]."""
    return _kokoro(voice) if voice.phase is not None else _piper(voice)


def _kokoro(voice: StagedVoice) -> Say:
    from compress.teachers import kokoro_stages

    file = kokoro_stages.whole(voice)

    def say(feeds: Feeds, number: int) -> NDArray[np.float32]:
        inputs = {
            "tokens": feeds["encoder"]["phonemes"],
            "style": next(rows["speaker"] for rows in feeds.values() if "speaker" in rows),
            "speed": np.ones(1, np.float32),
        }
        (wave,) = file.run(None, inputs)
        return np.clip(np.asarray(wave, np.float32).ravel(), -1.0, 1.0)  # as the stages' sound is

    return say


def _piper(voice: StagedVoice) -> Say:
    file = _with_noise(voice)

    def say(feeds: Feeds, number: int) -> NDArray[np.float32]:
        ids = feeds["encoder"]["phonemes"]
        inputs = {
            "input": ids,
            "input_lengths": np.array([ids.shape[1]], np.int64),
            "scales": np.array([1.0, voice.pace, 1.0], np.float32),
            "noise_durations": feeds["encoder"]["noise"],
            "noise_frames": feeds["acoustic"]["noise"],
        }
        if voice.speakers is not None:
            inputs["sid"] = np.array([number % len(voice.speakers)], np.int64)
        (wave,) = file.run(None, inputs)
        samples: NDArray[np.float32] = wave.ravel()
        return samples

    return say


def _with_noise(voice: StagedVoice) -> ort.InferenceSession:
    """The whole voice with its random numbers as inputs."""
    assert voice.source is not None
    graph = gs.import_onnx(load_model(voice.source))
    names = iter(("noise_durations", "noise_frames"))
    for node in graph.toposort().nodes:
        if node.op == "RandomNormalLike":
            noise = node.outputs[0]
            noise.inputs.clear()
            noise.name, noise.dtype, noise.shape = next(names), np.float32, [1, None, None]
            graph.inputs.append(noise)
    return session(gs.export_onnx(graph.cleanup(remove_unused_graph_inputs=False)))
