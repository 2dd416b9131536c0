"""The stages chained, against the voice's own file with the same noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_graphsurgeon as gs
import onnxruntime as ort

from compress.draft import Draft, Spoken, speak
from compress.teachers.piper import load_model
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.synthesis import expand

LARGEST = 1e-4


def within(difference: float) -> str:
    """How equal two waveforms are, in words that follow "equal"."""
    return f"within {difference:.1e}" if difference else "exactly"


def against_file(draft: Draft, sentences: list[str], seed: int = 0) -> float:
    """Largest difference between the chain's waveform and the file's; raises where it is above 1e-4."""
    source = draft.staged.source
    assert source is not None
    spoken = speak(draft, sentences, seed)
    whole = _with_noise(source)
    apart = 0.0
    for number, sound in enumerate(spoken.sounds):
        feeds = {stage: rows[number] for stage, rows in spoken.feeds.items()}
        ids = feeds["encoder"]["phonemes"]
        inputs = {
            "input": ids,
            "input_lengths": np.array([ids.shape[1]], np.int64),
            "scales": np.array([1.0, draft.staged.pace, 1.0], np.float32),
            "noise_durations": feeds["encoder"]["noise"],
            "noise_frames": feeds["acoustic"]["noise"],
        }
        if draft.staged.speakers is not None:
            inputs["sid"] = np.array([number % len(draft.staged.speakers)], np.int64)
        frames = expand(spoken.durations[number][0], 1.0, draft.staged.durations).sum()
        (wave,) = whole.run(None, inputs)
        if wave.size != sound.size or frames * draft.staged.hop != sound.size:
            raise EdgevoiceError(f"{source}: the stages give {sound.size} samples, the file {wave.size}")
        apart = max(apart, float(np.abs(wave.ravel() - sound).max()))
    if not apart < LARGEST:
        raise EdgevoiceError(
            f"{source} cut into stages differs from the file by {apart:.1e}, above {LARGEST:.0e}"
        )
    return apart


def in_chunks(draft: Draft, spoken: Spoken) -> float:
    """Largest difference of the longest sentence in chunks from the same in one run; raises above 1e-4."""
    number = max(range(len(spoken.sounds)), key=lambda place: len(spoken.sounds[place]))
    (ids,) = draft.ids(spoken.sentences[number : number + 1])
    rng = np.random.default_rng([spoken.seed, number])
    pieces = draft.stages().speak(ids, rng, draft.conditions(number))
    apart = float(np.abs(np.concatenate(list(pieces)) - spoken.sounds[number]).max())
    if not apart < LARGEST:
        raise EdgevoiceError(
            f"{draft.staged.name} in chunks differs from a whole run by {apart:.1e}, above {LARGEST:.0e}"
        )
    return apart


def _with_noise(source: Path) -> ort.InferenceSession:
    """The whole voice with its random numbers as inputs."""
    graph = gs.import_onnx(load_model(source))
    names = iter(("noise_durations", "noise_frames"))
    for node in graph.toposort().nodes:
        if node.op == "RandomNormalLike":
            noise = node.outputs[0]
            noise.inputs.clear()
            noise.name, noise.dtype, noise.shape = next(names), np.float32, [1, None, None]
            graph.inputs.append(noise)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    model = gs.export_onnx(graph.cleanup(remove_unused_graph_inputs=False))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
