"""Piper voices (VITS exported to one ONNX file): read, and cut into the stages by structure.

Nothing here knows tensor names beyond the exporter's inputs: a user's own voice is cut like a published one.
What marks the cuts: the only `Ceil` (durations), the two `RandomNormalLike` (what is sampled), the matrix
products that spread phonemes over frames, and the last product with the frame mask (the vocoder's input).
"""

from __future__ import annotations

from pathlib import Path

import google.protobuf.message
import numpy as np
import onnx
import onnx_graphsurgeon as gs

from compress import surgery
from compress.receptive import context
from compress.spline import without_masks
from compress.staged import StagedStage, StagedVoice
from compress.teachers import piper_config
from compress.teachers.piper_config import Config
from edgevoice import bundle, manifest
from edgevoice.errors import EdgevoiceError
from edgevoice.text import piper_table

INPUTS = ("input", "input_lengths", "scales")


def read(path: str | Path) -> StagedVoice:
    """Read ``NAME.onnx`` and ``NAME.onnx.json`` and cut the voice into stages."""
    file = Path(path)
    if not file.is_file():
        raise EdgevoiceError(
            f"{file} does not exist: name a Piper voice, NAME.onnx with NAME.onnx.json beside it"
        )
    config = piper_config.read(file)
    return _staged(file, config, load_model(file))


def load_model(file: Path) -> onnx.ModelProto:
    try:
        model = onnx.load(str(file))
        onnx.checker.check_model(model)
    except (google.protobuf.message.DecodeError, onnx.checker.ValidationError, ValueError, OSError):
        raise EdgevoiceError(f"{file} is no whole ONNX file: download the voice again") from None
    names = [tensor.name for tensor in model.graph.input]
    if missing := [name for name in INPUTS if name not in names]:
        raise EdgevoiceError(f"{file} is no Piper voice: its graph has no input {missing[0]!r}")
    return model


def _staged(file: Path, config: Config, model: onnx.ModelProto) -> StagedVoice:
    inference = config.inference
    language = config.espeak.voice
    cut = Cut(model, file, inference.length_scale)
    piper_config.check_ids(config, cut.symbols(), file)
    speakers = cut.speaker_table()
    takes: tuple[str, ...] = () if speakers is None else ("speaker",)
    encoder, acoustic, vocoder = cut.encoder(), cut.acoustic(), cut.vocoder()
    return StagedVoice(
        name=file.stem,
        language=language,
        sample_rate=config.audio.sample_rate,
        hop=surgery.upsampling(vocoder),
        licence=_licence(file),
        sha256=bundle.sha256(file),
        text=manifest.Text(language=language, phonemizers=_phonemizers(language)),
        table=piper_table(config.phoneme_id_map),
        durations=manifest.Durations(rounding="ceil"),
        stages={
            "encoder": StagedStage(
                encoder,
                noise=manifest.Noise(2, inference.noise_w),
                takes=surgery.takes(encoder, takes),
            ),
            "acoustic": StagedStage(
                acoustic,
                context(acoustic, "frames"),
                manifest.Noise(cut.width, inference.noise_scale),
                surgery.takes(acoustic, takes),
            ),
            "vocoder": StagedStage(vocoder, context(vocoder, "latents"), takes=surgery.takes(vocoder, takes)),
        },
        speakers=speakers,
        speaker_names=_speaker_names(config.speaker_id_map or {}, speakers),
        source=file,
        pace=inference.length_scale,
    )


def _phonemizers(language: str) -> list[str]:
    """Piper's voices learnt espeak's symbols; ours for English differs from it in 2 to 3 % of them."""
    return ["espeak", "lexicon"] if language == "en-us" else ["espeak"]


def _licence(file: Path) -> manifest.Licence:
    card = file.with_name("MODEL_CARD")
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = [
        line.split(":", 1)[1].strip()
        for line in text.splitlines()
        if "license" in line.lower() and ":" in line
    ]
    return manifest.Licence(
        name=found[0] if found else "unknown: see the voice's own card", lineage=text.strip()
    )


def _speaker_names(names: dict[str, int], table: np.ndarray | None) -> tuple[str, ...]:
    if table is None:
        return ()
    by_row = {row: name for name, row in names.items()}
    return tuple(by_row.get(row, str(row)) for row in range(len(table)))


class Cut:
    """The places where a VITS graph comes apart, found by structure. ``width``: the latents' channels.

    ``pace``: what the voice's own settings multiply its durations by.
    """

    def __init__(self, model: onnx.ModelProto, file: Path, pace: float = 1.0) -> None:
        self._model, self._file, self._pace = model, file, pace
        graph = self._graph()
        ceil = self._only(graph, "Ceil", 1)[0]
        before = surgery.ancestors(ceil)
        sampled = self._only(graph, "RandomNormalLike", 2)
        self._duration_noise = [n for n in sampled if id(n) in before]
        frame_noise = [n for n in sampled if id(n) not in before]
        if len(self._duration_noise) != 1 or len(frame_noise) != 1:
            raise self._refusal("does not sample once for durations and once for frames")
        self._durations = ceil.inputs[0].name
        self._noise = frame_noise[0].outputs[0].name
        self._duration_noise_name = self._duration_noise[0].outputs[0].name
        self._find_frames(frame_noise[0])
        self._find_mask(graph, ceil)

    def _graph(self) -> gs.Graph:
        return gs.import_onnx(self._model)

    def _refusal(self, why: str) -> EdgevoiceError:
        return EdgevoiceError(f"{self._file} cannot be cut into stages: its graph {why}")

    def _only(self, graph: gs.Graph, op: str, count: int) -> list[gs.Node]:
        found = [node for node in graph.nodes if node.op == op]
        if len(found) != count:
            raise self._refusal(f"has {len(found)} {op} nodes where a Piper voice has {count}")
        return found

    def _find_frames(self, noise: gs.Node) -> None:
        """From the noise down to ``z_p = m + noise * exp(logs) * scale``, then up to m and logs a phoneme."""
        tensor, deviation = noise.outputs[0], None
        while True:
            node = surgery.sole_consumer(tensor, ("Mul", "Add"))
            if node is None:
                raise self._refusal("does not add its noise to the frames' means")
            other = next(i for i in node.inputs if i is not tensor)
            if node.op == "Add":
                break
            if other.inputs and other.inputs[0].op == "Exp":
                deviation = other.inputs[0].inputs[0]
            tensor = node.outputs[0]
        if deviation is None:
            raise self._refusal("does not scale its noise by exp(logs)")
        self._frame_mean, self._frame_deviation = other.name, deviation.name
        self._mean, self._deviation = self._per_phoneme(other), self._per_phoneme(deviation)
        self._sampled = node.outputs[0].name

    def _per_phoneme(self, frames: gs.Variable) -> str:
        """``frames`` is Transpose(path @ Transpose(x)): the name of x."""
        product = surgery.producer(surgery.producer(frames, "Transpose").inputs[0], "MatMul")
        return str(surgery.producer(product.inputs[1], "Transpose").inputs[0].name)

    def _find_mask(self, graph: gs.Graph, ceil: gs.Node) -> None:
        """The frame mask multiplies what comes after ``z_p``; its last product is the vocoder's input."""
        after_sampling = surgery.descendants(graph.tensors()[self._sampled])
        after_durations = surgery.descendants(ceil.outputs[0])
        masks: dict[str, list[gs.Node]] = {}
        for node in graph.toposort().nodes:
            if node.op == "Mul" and id(node) in after_sampling:
                for tensor in node.inputs:
                    made = tensor.inputs[0] if tensor.inputs else None
                    if made and id(made) in after_durations and id(made) not in after_sampling:
                        masks.setdefault(tensor.name, []).append(node)
        if len(masks) != 1:
            raise self._refusal(f"has {len(masks)} frame masks where a Piper voice has one")
        ((self._mask, products),) = masks.items()
        self._latents = products[-1].outputs[0].name
        self.width = int(products[-1].outputs[0].outputs[0].inputs[1].shape[1])

    def symbols(self) -> int | None:
        """Rows of the table that phoneme ids are looked up in; None where no such table is found."""
        (ids,) = (tensor for tensor in self._graph().inputs if tensor.name == "input")
        tables = [node.inputs[0] for node in ids.outputs if node.op == "Gather"]
        rows = [table.values.shape[0] for table in tables if isinstance(table, gs.Constant)]
        return min(rows, default=None)

    def speaker_table(self) -> np.ndarray | None:
        """f32 [speakers, width], or None for a voice with one speaker."""
        row = self._speaker_row(self._graph())
        return None if row is None else np.asarray(row.inputs[0].values, np.float32)

    def _speaker_row(self, graph: gs.Graph) -> gs.Node | None:
        inputs = [tensor for tensor in graph.inputs if tensor.name == "sid" and tensor.outputs]
        if not inputs:
            return None
        row = surgery.sole_consumer(inputs[0], ("Gather",))
        if row is None:
            raise self._refusal("does not look its speaker up in one table")
        return row

    def encoder(self) -> onnx.ModelProto:
        """phonemes int64 [1,T], noise f32 [1,2,T] (, speaker) -> hidden f32 [1,2M,T], durations f32 [1,T]."""
        graph = self._prepared()
        tensors = graph.tensors()
        phonemes = surgery.retype(tensors["input"], "phonemes", np.int64, [1, "T"])
        surgery.length_of(graph, phonemes, tensors["input_lengths"])
        noise = surgery.cut_input(tensors[self._duration_noise_name], "noise", [1, 2, "T"])
        hidden = surgery.concat(graph, [tensors[self._mean], tensors[self._deviation]], "hidden", axis=1)
        durations = surgery.flatten(graph, tensors[self._durations], "durations")
        outputs: list[surgery.Output] = [(hidden, [1, 2 * self.width, "T"]), (durations, [1, "T"])]
        return without_masks(surgery.finish(graph, [phonemes, noise], outputs))

    def acoustic(self) -> onnx.ModelProto:
        """frames f32 [1,2M,F], noise f32 [1,M,F] (, speaker) -> latents f32 [1,M,F]."""
        graph = self._prepared()
        tensors = graph.tensors()
        width = self.width
        last, mask = tensors[self._latents].inputs[0], tensors[self._mask]
        surgery.bypass_products(graph, mask)
        mean, deviation = tensors[self._frame_mean], tensors[self._frame_deviation]
        frames = surgery.split_input(graph, [mean, deviation], "frames", [1, 2 * width, "F"])
        noise = surgery.cut_input(tensors[self._noise], "noise", [1, width, "F"])
        latents = next(tensor for tensor in last.inputs if tensor is not mask)
        latents.name = "latents"
        return surgery.finish(graph, [frames, noise], [(latents, [1, width, "F"])])

    def vocoder(self) -> onnx.ModelProto:
        """latents f32 [1,M,F] (, speaker) -> waveform f32 [1,F*hop]."""
        graph = self._prepared()
        latents = surgery.cut_input(graph.tensors()[self._latents], "latents", [1, self.width, "F"])
        waveform = surgery.flatten(graph, graph.outputs[0], "waveform")
        return surgery.finish(graph, [latents], [(waveform, [1, "samples"])])

    def _prepared(self) -> gs.Graph:
        """A fresh copy with the noise's scales at one, as the host applies them, and the speaker an input."""
        graph = self._graph()
        scales = next(tensor for tensor in graph.inputs if tensor.name == "scales")
        scales.to_constant(np.array([1.0, self._pace, 1.0], np.float32))
        row = self._speaker_row(graph)
        if row is not None:
            surgery.cut_input(row.outputs[0], "speaker", [1, row.inputs[0].shape[1]])
        return graph
