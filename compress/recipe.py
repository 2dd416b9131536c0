"""Recipes: what is done to a voice, as data. An unknown key is refused by name."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from calibration.gate import Thresholds, groups_asked
from compress.distil.config import DistilConfig, from_table
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName


class Chunks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frames of the first chunk, and of the long ones that it grows up to, ``growth`` times at each."""

    first: Annotated[int, msgspec.Meta(ge=1)] = 16
    long: Annotated[int, msgspec.Meta(ge=1)] = 96
    growth: Annotated[int, msgspec.Meta(ge=2, le=16)] = 2

    def __post_init__(self) -> None:
        if self.long < self.first:
            raise ValueError("chunks: long must not be shorter than first")


class Quantize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """INT8: how ranges are found, on how many sentences, and which stages are tried.

    ``limit``: the log-mel L1 to FP32, in nepers, that one stage may lose. Where all of a stage in INT8 loses
    more, ``search_seconds`` of CPU time go into finding its largest set of layers that does not; what the
    gate then refuses is searched again, within less. With 0 nothing is searched, and goes back to FP32 whole.
    """

    method: Literal["minmax", "entropy", "percentile", "mse"] = "percentile"
    sentences: Annotated[int, msgspec.Meta(ge=8)] = 24
    stages: tuple[StageName, ...] = ("encoder", "acoustic", "vocoder")
    limit: Annotated[float, msgspec.Meta(gt=0)] = 0.15
    search_seconds: Annotated[float, msgspec.Meta(ge=0)] = 60.0


class Judge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many unseen sentences the quality is judged on, and which measures beside the spectral ones.

    ``teacher_sentences``: how many a student is held against its teacher on.
    """

    sentences: Annotated[int, msgspec.Meta(ge=1)] = 8
    measures: tuple[str, ...] = ()
    teacher_sentences: Annotated[int, msgspec.Meta(ge=1)] = 50


class Labelling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many sentences the teacher is run over for its students.

    ``with_audio``: of how many its vocoder is run, too (all where it is left out): only a vocoder learns from
    audio.
    """

    sentences: Annotated[int, msgspec.Meta(ge=1)] = 6000
    with_audio: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``name``: the file's unless it says another.

    ``gate``: what smaller files may lose against FP32, where all that the table names is measured;
    ``student_gate``: what a student may against its teacher, where nothing is asked that the table does not
    name.
    """

    name: str = ""
    chunks: Chunks = Chunks()
    quantize: Quantize | None = None
    judge: Judge = Judge()
    labels: Labelling = Labelling()
    gate: dict[str, Any] = {}
    student_gate: dict[str, Any] = {}
    distil: dict[str, Any] | None = None

    def sha256(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def thresholds(self) -> Thresholds:
        return Thresholds.from_dict(self.gate)

    def measures(self) -> list[str]:
        """Groups that a voice is held against FP32 with beside the spectral ones: those that [judge] names
        and those that a threshold named in [gate] needs."""
        return list(dict.fromkeys([*self.judge.measures, *groups_asked(self.gate)]))

    def student_thresholds(self) -> Thresholds:
        unasked = {entry.name: False for entry in fields(Thresholds)}
        return Thresholds.from_dict({**unasked, **self.student_gate}, "student_gate")

    def students(self) -> DistilConfig | None:
        """The stages that are to be students, or None where all are the teacher's own."""
        return None if self.distil is None else from_table(DistilConfig, self.distil)


def names() -> list[str]:
    """The recipes that come with edgevoice."""
    return sorted(
        entry.name.removesuffix(".toml") for entry in _shipped().iterdir() if entry.name.endswith(".toml")
    )


def load(name: str) -> Recipe:
    """The recipe of that name, or the user's own TOML file."""
    path = Path(name)
    shipped = _shipped() / f"{name}.toml"
    if path.suffix == ".toml":
        if not path.is_file():
            raise EdgevoiceError(f"{path} does not exist: name a recipe file, or one of {', '.join(names())}")
        raw, where = path.read_bytes(), str(path)
    elif shipped.is_file():
        raw, where = shipped.read_bytes(), f"recipe {name}"
    else:
        raise EdgevoiceError(
            f"there is no recipe {name!r}: choose one of {', '.join(names())}, or name a TOML file"
        )
    try:
        recipe = msgspec.toml.decode(raw, type=Recipe)
        recipe.thresholds()
        recipe.student_thresholds()
        recipe.students()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EdgevoiceError(f"{where}: {error}") from None
    except RecursionError:
        raise EdgevoiceError(f"{where} is nested too deeply for a recipe") from None
    return msgspec.structs.replace(recipe, name=recipe.name or Path(name).stem)


def _shipped() -> Path:
    return Path(str(files("compress"))) / "recipes"
