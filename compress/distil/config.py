"""The ``[distil]`` table of a recipe. Unknown keys are refused by name."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from edgevoice.errors import EdgevoiceError

T = TypeVar("T")


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    The rate rises over ``warmup`` steps, stays, and falls to zero over the last ``decay`` of all ``steps``.
    ``items`` segments of ``frames`` frames (context included) make a batch over all processes.
    ``average``: how much of the moving average of the weights stays at each step.
    """

    steps: int = 20_000
    items: int = 8
    frames: int = 128
    rate: float = 1e-3
    warmup: int = 200
    decay: float = 0.3
    average: float = 0.999
    clip: float = 5.0
    weight_decay: float = 0.01
    seed: int = 1
    save_every: int = 250


@dataclass(frozen=True)
class VocoderLoss:
    """Weights of the terms in `compress.distil.losses`; each step uses ``draw`` of the STFT ``sizes``."""

    sizes: tuple[int, ...] = (256, 512, 1024, 2048)
    draw: int = 2
    magnitude: float = 1.0
    convergence: float = 1.0
    complex: float = 0.5
    mel: float = 1.0


@dataclass(frozen=True)
class VocoderStage:
    """``harmonics``: for a teacher with a sine source, how many of them drive the student.

    ``source``: whether it shapes the spectrum of such a source, too.

    ``keep``: instead of a new student, the teacher's own HiFi-GAN with this part of its channels; of the
    other keys only those of loss and schedule count then.
    """

    keep: float = 0.0
    width: int = 256
    expansion: float = 3.0
    input_kernel: int = 5
    kernels: tuple[int, ...] = (5, 5, 5, 5, 3, 3, 3, 3)
    n_fft: int = 1024
    cartesian: bool = False
    harmonics: int = 0
    source: bool = False
    loss: VocoderLoss = field(default_factory=VocoderLoss)
    schedule: Schedule = field(default_factory=Schedule)

    def __post_init__(self) -> None:
        _refuse_ratio("vocoder", self.keep)
        if self.source and not self.harmonics:
            raise EdgevoiceError(
                "distil.vocoder.source needs a teacher with a sine source: name harmonics, too"
            )


@dataclass(frozen=True)
class AcousticStage:
    """``latents``: components of the teacher's latents that are kept, 0 for all of them as they are."""

    latents: int = 0
    width: int = 256
    expansion: float = 2.0
    input_kernel: int = 5
    kernels: tuple[int, ...] = (7, 7, 7, 7)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=10_000))


@dataclass(frozen=True)
class EncoderStage:
    """``hidden``: channels for the acoustic student, 0 for the teacher's own hidden states.

    ``keep``: instead of a new student, the teacher's own text encoder with this part of the channels in its
    feed-forward layers; of the other keys only those of the durations count then.
    """

    hidden: int = 0
    keep: float = 0.0
    width: int = 192
    expansion: float = 2.0
    kernels: tuple[int, ...] = (5, 5, 5, 5, 5, 5)
    attention_after: tuple[int, ...] = (2, 4)
    heads: int = 2
    duration_width: int = 96
    duration_kernels: tuple[int, ...] = (5, 5, 5)
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=10_000, items=32))

    def __post_init__(self) -> None:
        _refuse_ratio("encoder", self.keep)


def _refuse_ratio(stage: str, keep: float) -> None:
    if not 0 <= keep <= 1:
        raise EdgevoiceError(
            f"distil.{stage}.keep must be above 0 and at most 1, the part that stays, or left out for a new "
            f"student; it is {keep:g}"
        )


@dataclass(frozen=True)
class AdversaryTable:
    """Discriminators ``width`` channels wide, one for each STFT size in samples: `compress.distil.adversary`.

    ``weight``: of their mean score, ``features``: of feature matching, beside the vocoder's own loss.
    ``rate``: their own, which rises and falls as the schedule's.
    """

    weight: float = 0.1
    features: float = 0.5
    sizes: tuple[int, ...] = (512, 1024, 2048)
    width: int = 16
    rate: float = 5e-4

    def __post_init__(self) -> None:
        where = "distil.finish.adversary"
        if not self.sizes or min(self.sizes) < SMALLEST_STFT:
            raise EdgevoiceError(f"{where}.sizes must name STFT sizes of at least {SMALLEST_STFT} samples")
        if self.width < 1 or self.rate <= 0 or min(self.weight, self.features) < 0:
            raise EdgevoiceError(f"{where}: width and rate must be above 0, weight and features not below")


SMALLEST_STFT = 32


@dataclass(frozen=True)
class FinishStage:
    """The vocoder trained on, with the latents of its fellow students in a share ``mix`` of all segments."""

    mix: float = 0.5
    adversary: AdversaryTable | None = None
    schedule: Schedule = field(default_factory=lambda: Schedule(steps=4000, rate=3e-4))


@dataclass(frozen=True)
class DistilConfig:
    """One student: a table for each stage that is to be a student. ``None`` leaves the teacher's stage."""

    vocoder: VocoderStage | None = None
    acoustic: AcousticStage | None = None
    encoder: EncoderStage | None = None
    finish: FinishStage | None = None


def from_table(kind: type[T], table: Mapping[str, Any], where: str = "distil") -> T:
    """Build dataclass ``kind`` from a recipe's table, its sub-tables included.

    An unknown key or a value of the wrong type is an `EdgevoiceError` that names it.
    """
    hints = get_type_hints(kind)
    known = {f.name for f in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for key, value in table.items():
        if key not in known:
            raise EdgevoiceError(f"unknown key {where}.{key}; known are {', '.join(sorted(known))}")
        values[key] = _value(hints[key], value, f"{where}.{key}")
    return kind(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    options = [o for o in getattr(hint, "__args__", ()) if o is not type(None)]
    inner = next((o for o in [hint, *options] if is_dataclass(o)), None)
    if inner is not None:
        if not isinstance(value, Mapping):
            raise EdgevoiceError(f"{where} must be a table")
        return from_table(inner, value, where)  # type: ignore[arg-type]
    if hint == tuple[int, ...]:
        if not isinstance(value, list) or not all(type(item) is int for item in value):
            raise EdgevoiceError(f"{where} must be a list of whole numbers, not {value!r}")
        return tuple(value)
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise EdgevoiceError(f"{where} must be {hint.__name__}, not {value!r}")
    return value


OPEN_ENDED = ("steps", "decay", "save_every")


def recipe_key(stage: object) -> str:
    """What a checkpoint must agree with: all of the stage's table but how long it runs.

    Values that are the default do not count, so that a key that is new in this code leaves old runs valid.
    """
    default = type(stage)()
    plain, usual = asdict(stage), asdict(default)  # type: ignore[call-overload]
    for name in OPEN_ENDED:
        plain["schedule"].pop(name)
    optional = {
        name: asdict(type(value)())  # type: ignore[misc]
        for name, value in vars(stage).items()
        if is_dataclass(value) and getattr(default, name) is None
    }
    found = _differing(plain, {**usual, **optional})
    for name in optional:
        found.setdefault(name, {})  # a table that is there with its defaults is another recipe than none
    parts = [type(stage).__name__, found]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def training_key(config: DistilConfig, stage: str) -> str:
    """`recipe_key` of all tables that shape a run: a student of Kokoro's depends on more than its own."""
    if stage == "text":
        return _joint(recipe_key(config.acoustic), recipe_key(config.encoder))
    if stage == "vocoder" and config.vocoder and config.vocoder.harmonics:
        return _joint(recipe_key(config.vocoder), config.acoustic.latents if config.acoustic else 0)
    return recipe_key(getattr(config, stage))


def _joint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _differing(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            value = _differing(value, defaults[name])
            if value:
                found[name] = value
        elif value != defaults[name]:
            found[name] = value
    return found


def read_recipe(path: Path) -> DistilConfig:
    """The ``[distil]`` table of a recipe file."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EdgevoiceError(f"cannot read the recipe {path}: {error}") from None
    except RecursionError:
        raise EdgevoiceError(f"cannot read the recipe {path}: it is nested too deeply") from None
    if "distil" not in tables:
        raise EdgevoiceError(f"{path} has no [distil] table")
    return from_table(DistilConfig, tables["distil"])
