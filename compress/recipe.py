"""Recipes: what is done to a voice, as data. An unknown key is refused by name."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from calibration.gate import Thresholds
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import StageName


class Chunks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frames of the first chunk, and of the long ones that it doubles up to."""

    first: Annotated[int, msgspec.Meta(ge=1)] = 16
    long: Annotated[int, msgspec.Meta(ge=1)] = 96

    def __post_init__(self) -> None:
        if self.long < self.first:
            raise ValueError("chunks: long must not be shorter than first")


class Quantize(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """INT8: how ranges are found, on how many sentences, and which stages are tried.

    ``limit``: the log-mel L1 to FP32, in nepers, that one stage may lose. Where all of a stage in INT8 loses
    more, ``search_seconds`` of CPU time go into finding its largest set of layers that does not.
    """

    method: Literal["minmax", "entropy", "percentile", "mse"] = "percentile"
    sentences: Annotated[int, msgspec.Meta(ge=8)] = 24
    stages: tuple[StageName, ...] = ("encoder", "acoustic", "vocoder")
    limit: float = 0.15
    search_seconds: float = 60.0


class Judge(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many unseen sentences the quality is judged on, and which measures beside the spectral ones."""

    sentences: Annotated[int, msgspec.Meta(ge=1)] = 8
    measures: tuple[str, ...] = ()


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``name``: the file's unless it says another. ``prune``, ``distil``: read where they are trained."""

    name: str = ""
    chunks: Chunks = Chunks()
    quantize: Quantize | None = None
    judge: Judge = Judge()
    gate: dict[str, Any] = {}
    prune: dict[str, Any] | None = None
    distil: dict[str, Any] | None = None

    def sha256(self) -> str:
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()

    def thresholds(self) -> Thresholds:
        return Thresholds.from_dict(self.gate)


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
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EdgevoiceError(f"{where}: {error}") from None
    except RecursionError:
        raise EdgevoiceError(f"{where} is nested too deeply for a recipe") from None
    return msgspec.structs.replace(recipe, name=recipe.name or Path(name).stem)


def _shipped() -> Path:
    return Path(str(files("compress"))) / "recipes"
