"""What a bundle says of itself: the schema of ``manifest.json``.

Structs are msgspec's, which refuses unknown keys and wrong types and names the place.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

SCHEMA = 1
CALIBRATION = "calibration.txt"

StageName = Literal["encoder", "acoustic", "vocoder"]

STAGES: tuple[StageName, ...] = ("encoder", "acoustic", "vocoder")

Precision = Literal["fp32", "fp16", "int8"]

PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")

Count = Annotated[int, msgspec.Meta(ge=0)]
Serial = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
# What a device would allocate without asking: no voice comes near these.
Frames = Annotated[int, msgspec.Meta(ge=0, le=4096)]
Channels = Annotated[int, msgspec.Meta(ge=1, le=8192)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Licence(_Strict, frozen=True):
    """Who may do what with the voice, as its own files say."""

    name: str
    lineage: str = ""


class Table(_Strict, frozen=True):
    """Named rows of an embedding table kept as a ``.npy`` file, f32 [len(names), width].

    With ``counts``, f32 [len(names), len(counts), width]: rows for sentences of so many ids, between which
    `edgevoice.runtime.styles` finds that of any other.
    """

    file: str
    names: list[str]
    default: Count = 0
    counts: list[Positive] = []

    def __post_init__(self) -> None:
        if any(second <= first for first, second in zip(self.counts, self.counts[1:], strict=False)):
            raise ValueError("the counts of a table do not rise")


class Voice(_Strict, frozen=True):
    name: str
    language: str
    sample_rate: Annotated[int, msgspec.Meta(ge=4000, le=384_000)]
    hop: Annotated[int, msgspec.Meta(ge=1, le=65_536)]
    licence: Licence
    speakers: Table | None = None
    emotions: Table | None = None


class Text(_Strict, frozen=True):
    """How text becomes phoneme ids. ``file`` holds the symbol table (`edgevoice.text.TextTable`)."""

    language: str
    phonemizers: list[str]
    file: str = "text.json"


class Durations(_Strict, frozen=True):
    """How the host rounds the encoder's durations, in frames, after dividing them by the speed."""

    rounding: Literal["ceil", "nearest"]
    minimum: Annotated[int, msgspec.Meta(ge=0, le=100)] = 1


class Chunks(_Strict, frozen=True):
    """Frames of the first chunk, short for the first sound, and of the long ones that it grows up to.

    ``growth``: by how many times the one before.
    """

    first: Positive
    long: Positive
    growth: Annotated[int, msgspec.Meta(ge=2, le=16)] = 2


class Noise(_Strict, frozen=True):
    """A sampled input: ``channels`` rows of normal numbers times ``scale``."""

    channels: Channels
    scale: Annotated[float, msgspec.Meta(ge=0, le=10)]


class Spectrum(_Strict, frozen=True):
    """A vocoder that answers with an STFT: the host overlap-adds with a periodic Hann window."""

    n_fft: Annotated[int, msgspec.Meta(ge=2, le=65_536, multiple_of=2)]


class Phase(_Strict, frozen=True):
    """A vocoder driven by the running phase of F0: sine and cosine of its first harmonics.

    ``f0`` (Hz) and ``voicing`` (0 to 1) are channels of the latents. ``source``: it answers with gains for
    the spectrum of a pulse train of that phase and with what is added, twice the rows of a spectrum; see
    `edgevoice.runtime.source`.
    """

    harmonics: Channels
    f0: Count
    voicing: Count
    source: bool = False


Standing = Literal["", "met", "open", "missed"]


class Measure(_Strict, frozen=True):
    """A figure, its 95 % bootstrap interval over ``n`` sentences, and what it was compared with.

    ``asked``: what the recipe's gate asks of it, empty where nothing. ``standing``: "met" or "missed" where
    the whole interval lies on one side of that, "open" where it does not.
    """

    mean: float
    low: float
    high: float
    n: int
    against: str = ""
    asked: str = ""
    standing: Standing = ""


class Variant(_Strict, frozen=True):
    """One file of a stage.

    ``milliseconds``: one thread, per second of audio, on the provenance's host; None where not measured.
    ``int8_operators``: what ONNX Runtime really runs in INT8, counted in its optimised graph; of a file for
    TensorRT, the layers that Q/DQ nodes ask it for.
    ``left_out``: groups of layers kept in floating point, and the log-mel L1 that each lost alone in INT8;
    None: kept on purpose, for what a sound at forced durations does not show, or because what goes through
    never changed in calibration. ``unmeasured``: groups kept in
    floating point because the search's time ran out before them.
    ``arena_bytes``: an estimate, from the graph, of a TensorRT engine's working memory at the longest chunk
    (the encoder: at the most ids); 0 where none was made.
    """

    file: str
    precision: Precision
    engine: Literal["any", "onnxruntime", "tensorrt"] = "any"
    bytes: Count = 0
    milliseconds: float | None = None
    quality: dict[str, Measure] = {}
    int8_operators: dict[str, int] = {}
    left_out: dict[str, float | None] = {}
    unmeasured: list[str] = []
    arena_bytes: Count = 0


class Trained(_Strict, frozen=True):
    """How a stage that is a student came to be.

    ``recipe``, ``labels``: keys of the table that it was last trained by, and of the labels. ``steps``,
    ``seconds``: of training, with the runs whose weights it went on from. ``label_hours``: speech of the
    teacher's in those labels, for a vocoder that with audio. ``finish_steps``: those of the steps in which a
    vocoder learnt on its fellow students' latents. ``pace``: what an encoder's durations were multiplied by
    after training, so that its sentences are as long as the teacher's.
    """

    recipe: str
    labels: str
    steps: Count
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    label_hours: Annotated[float, msgspec.Meta(ge=0)]
    finish_steps: Count = 0
    pace: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class Stage(_Strict, frozen=True):
    """``variants`` travel; ``tried`` were measured, and their files left behind.

    ``context``: frames of input that each end of a chunk needs around it to equal a whole run.

    ``arena_bytes``: by how much a process grew that ran the chosen file once, on the longest chunk (the
    encoder: on the most ids that it is given), with ONNX Runtime on the provenance's host.
    """

    variants: list[Variant]
    chosen: str
    reason: str
    tried: list[Variant] = []
    context: Frames = 0
    noise: Noise | None = None
    takes: list[Literal["speaker", "emotion"]] = []
    parameters: Count = 0
    arena_bytes: Count = 0
    trained: Trained | None = None

    @property
    def speaks(self) -> Variant:
        """The file that was chosen for ONNX Runtime."""
        return next(variant for variant in self.variants if variant.file == self.chosen)

    @property
    def measured(self) -> list[Variant]:
        """All that was measured, FP32 first."""
        rows = [*self.variants, *self.tried]
        return sorted(rows, key=lambda variant: PRECISIONS.index(variant.precision))


class File(_Strict, frozen=True):
    sha256: str
    bytes: Count


class Calibration(_Strict, frozen=True):
    """What INT8 was calibrated on: how many sentences, which symbols they covered, and the SHA-256 of
    `CALIBRATION`, which holds them one a line."""

    sentences: int
    sha256: str
    method: str
    coverage: dict[str, float] = {}


class Provenance(_Strict, frozen=True):
    """Where the bundle came from. ``teacher`` is the SHA-256 of the voice file."""

    teacher: str
    recipe: str
    recipe_sha256: str
    target: str
    host: str
    versions: dict[str, str]
    notes: list[str] = []


class Ahead(_Strict, frozen=True):
    """An engine made on the workstation, beside the ONNX file that it is of, which stays what counts.

    ``source``: that file, and its SHA-256. ``builder``: the module and its release, which alone loads it, on
    GPUs of the compute ``capability`` alone. ``profiles``: least, best and most ids or frames, a row each.
    """

    file: str
    source: str
    source_sha256: str
    builder: str
    capability: str
    profiles: list[tuple[Positive, Positive, Positive]]


class AgainstTeacher(_Strict, frozen=True):
    """A student against its teacher, on sentences that neither was trained on, at the teacher's durations and
    noise: ``student`` in FP32, ``shipped`` with the smallest files that travel.

    ``speed``: CPU seconds per second of sound of all stages in chunks, one thread, measured in turn in one
    run: the ``teacher``'s, the bundle's ``student``, and the ratio ``teacher_by_student``.
    """

    student: dict[str, Measure]
    shipped: dict[str, Measure]
    speed: dict[str, Measure]


class Manifest(_Strict, frozen=True):
    """``failed_gate``: thresholds that were crossed; ``not_judged``: those that nothing measured.

    ``against_teacher``: for a bundle with students in it. ``engines``: made ahead of time, if any were.
    ``serial``: given when the bundle is signed, higher with each release, so that a device that trusts keys
    takes no older one; 0 if none was given.
    """

    schema: int
    voice: Voice
    text: Text
    durations: Durations
    chunks: Chunks
    stages: dict[StageName, Stage]
    files: dict[str, File]
    provenance: Provenance
    spectrum: Spectrum | None = None
    phase: Phase | None = None
    calibration: Calibration | None = None
    quality: dict[str, Measure] = {}
    failed_gate: list[str] = []
    not_judged: list[str] = []
    against_teacher: AgainstTeacher | None = None
    engines: list[Ahead] = []
    serial: Serial = 0
