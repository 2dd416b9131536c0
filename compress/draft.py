"""A voice's stages as files and engines, before anything is chosen: what calibration and judging run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import onnx

from compress.recipe import Recipe
from compress.staged import StagedVoice
from compress.workspace import Workspace
from edgevoice import bundle, manifest, text
from edgevoice.manifest import StageName
from edgevoice.runtime import styles
from edgevoice.runtime.engines import Array, Engine
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.synthesis import Stages

Float = npt.NDArray[np.float32]
Feeds = dict[str, Array]

WHOLE = manifest.Chunks(first=1 << 30, long=1 << 30)


@dataclass(frozen=True)
class Draft:
    """The voice in FP32 with its tables on disk, and the manifest's parts that no measurement changes.

    ``identity``: a hash of all that its FP32 sound depends on, but the sentences: see `key`.
    """

    staged: StagedVoice
    files: Mapping[str, Path]
    speakers: manifest.Table | None
    chunks: manifest.Chunks
    identity: str
    _engines: dict[StageName, Engine] = field(default_factory=dict)

    def key(self, sentences: Sequence[str]) -> list[object]:
        """What ``sentences`` said in FP32 depend on, their ids too: another espeak-ng may give others."""
        ids = json.dumps([row.tolist() for row in self.ids(sentences)])
        return [self.identity, list(sentences), hashlib.sha256(ids.encode()).hexdigest()]

    def path(self, stage: StageName) -> Path:
        return self.files[fp32_name(stage)]

    def voice(self) -> manifest.Voice:
        staged = self.staged
        return manifest.Voice(
            staged.name,
            staged.language,
            staged.sample_rate,
            staged.hop,
            staged.licence,
            speakers=self.speakers,
        )

    def stage(
        self, name: StageName, variants: list[manifest.Variant], chosen: str, reason: str
    ) -> manifest.Stage:
        staged = self.staged.stages[name]
        return manifest.Stage(
            variants,
            chosen,
            reason,
            context=staged.context,
            noise=staged.noise,
            takes=[name for name in ("speaker", "emotion") if name in staged.takes],
            parameters=parameters(staged.model),
            trained=staged.trained,
        )

    def described(self) -> manifest.Manifest:
        """Of a bundle of the FP32 files, without what is measured or says where they come from."""
        plain = {
            name: self.stage(name, [manifest.Variant(fp32_name(name), "fp32")], fp32_name(name), "")
            for name in manifest.STAGES
        }
        staged = self.staged
        return manifest.Manifest(
            manifest.SCHEMA, self.voice(), staged.text, staged.durations, self.chunks, plain, {},
            manifest.Provenance("", "", "", "", "", {}), spectrum=staged.spectrum, phase=staged.phase,
        )  # fmt: skip

    def stages(self, engines: Mapping[StageName, Engine] | None = None) -> Stages:
        """Engines for all stages: those given, FP32 for the rest."""
        given = engines or {}
        ready = {name: given.get(name) or self._plain(name) for name in manifest.STAGES}
        return Stages(self.described(), **ready)

    def _plain(self, name: StageName) -> Engine:
        """Kept: a voice's encoder of 2,300 nodes takes longer to load than to say a sentence."""
        if name not in self._engines:
            self._engines[name] = OnnxEngine(self.path(name), 1)
        return self._engines[name]

    def conditions(self, number: int, ids: int) -> dict[str, Float]:
        """Conditions for sentence ``number`` of so many ids: the speakers take turns."""
        rows = self.staged.speakers
        if rows is None:
            return {}
        row = np.asarray(rows[number % len(rows)], np.float32)
        return {"speaker": styles.at(row, self.staged.speaker_counts, ids)}

    def ids(self, sentences: Iterable[str]) -> list[npt.NDArray[np.int64]]:
        """Phoneme ids by the front end that the device runs."""
        spoken = self.staged.text
        phonemizer = text.phonemizer(spoken.phonemizers[0], spoken.language)
        normal = (text.normalise(sentence, spoken.language) for sentence in sentences)
        return [self.staged.table.encode(phonemizer.phonemize(sentence))[0] for sentence in normal]


def fp32_name(stage: str) -> str:
    return f"{stage}.fp32.onnx"


def parameters(model: onnx.ModelProto) -> int:
    return sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.data_type == 1)


def prepare(staged: StagedVoice, recipe: Recipe, work: Workspace) -> Draft:
    """Write the FP32 stages and the tables into the workspace."""
    files = {}
    for name, stage in staged.stages.items():
        # The graph, not the voice's file: another edgevoice may cut the same voice in another way.
        key = hashlib.sha256(stage.model.SerializeToString(deterministic=True)).hexdigest()
        files[fp32_name(name)] = work.file(fp32_name(name), key, partial(onnx.save, stage.model))
    table = msgspec.to_builtins(staged.table)
    text_file = staged.text.file
    files[text_file] = work.file(text_file, table, lambda path: _write_json(path, table))
    speakers = None
    if staged.speakers is not None:
        rows = staged.speakers
        counts = list(staged.speaker_counts)
        speakers = manifest.Table("speakers.npy", list(staged.speaker_names), counts=counts)
        made_of = [staged.sha256, counts]
        files["speakers.npy"] = work.file("speakers.npy", made_of, lambda path: _write_rows(path, rows))
    asked = recipe.chunks
    chunks = manifest.Chunks(asked.first, asked.long, asked.growth) if staged.chunked else WHOLE
    return Draft(staged, files, speakers, chunks, _identity(staged, files))


def _identity(staged: StagedVoice, files: Mapping[str, Path]) -> str:
    noise = [(name, stage.noise) for name, stage in sorted(staged.stages.items())]
    numbers = (staged.text, staged.durations, staged.sample_rate, noise, staged.spectrum, staged.phase)
    contents = {name: bundle.sha256(path) for name, path in files.items()}
    return hashlib.sha256(msgspec.json.encode([numbers, contents], order="sorted")).hexdigest()


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=0), encoding="utf-8")


def _write_rows(path: Path, rows: Float) -> None:
    with open(path, "wb") as stream:
        np.save(stream, rows, allow_pickle=False)


class Recorder:
    """An engine that keeps what went through it."""

    def __init__(self, engine: Engine) -> None:
        self.inputs = engine.inputs
        self.feeds: list[Feeds] = []
        self.outputs: list[list[Float]] = []
        self._engine = engine

    def run(self, feeds: Mapping[str, Array]) -> list[Float]:
        outputs = self._engine.run(feeds)
        self.feeds.append(dict(feeds))
        self.outputs.append(outputs)
        return outputs


@dataclass(frozen=True)
class Spoken:
    """Sentences said by the FP32 stages in whole runs: each stage's inputs, and the sound."""

    sentences: tuple[str, ...]
    feeds: Mapping[StageName, list[Feeds]]
    durations: list[Float]
    sounds: list[Float]
    seed: int


def speak(draft: Draft, sentences: Sequence[str], seed: int) -> Spoken:
    """Say ``sentences`` in FP32, every stage on the whole utterance, and keep what each stage was given."""
    plain = draft.stages()
    recorders = {name: Recorder(getattr(plain, name)) for name in manifest.STAGES}
    sounds = say(draft, sentences, seed, draft.stages(recorders))
    feeds = {name: recorder.feeds for name, recorder in recorders.items()}
    durations = [outputs[1] for outputs in recorders["encoder"].outputs]
    return Spoken(tuple(sentences), feeds, durations, sounds, seed)


def say(draft: Draft, sentences: Sequence[str], seed: int, stages: Stages) -> list[Float]:
    """The sound of each sentence; the same seed gives every precision the same noise."""
    sounds = []
    for number, ids in enumerate(draft.ids(sentences)):
        rng = np.random.default_rng([seed, number])
        chunks = list(stages.speak(ids, rng, draft.conditions(number, len(ids)), chunks=WHOLE))
        sounds.append(np.concatenate(chunks))
    return sounds
