"""What is read of a Piper voice's NAME.onnx.json, each field checked; whatever else it says is left alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import msgspec

from edgevoice.errors import EdgevoiceError

LARGEST_FILE = 8 << 20
"""Bytes: with a thousand speakers it is a fiftieth of that."""

# NaN and infinity keep no bound, so each of these refuses them too.
Scale = Annotated[float, msgspec.Meta(ge=0, le=10)]
Id = Annotated[int, msgspec.Meta(ge=0, lt=1 << 20)]


class Audio(msgspec.Struct, frozen=True):
    sample_rate: Annotated[int, msgspec.Meta(ge=4000, le=384_000)]


class Espeak(msgspec.Struct, frozen=True):
    voice: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_+-]{0,39}\Z")]


class Inference(msgspec.Struct, frozen=True):
    """What the voice's noise and durations are multiplied by."""

    noise_scale: Scale = 0.667
    length_scale: Annotated[float, msgspec.Meta(ge=0.1, le=10)] = 1.0
    noise_w: Scale = 0.8


class Config(msgspec.Struct, frozen=True):
    audio: Audio
    espeak: Espeak
    phoneme_id_map: dict[str, Id | Annotated[list[Id], msgspec.Meta(max_length=64)]]
    inference: Inference
    phoneme_type: str | None = None
    speaker_id_map: dict[str, Id] | None = None


def read(file: Path) -> Config:
    """The JSON beside the voice ``file``; `EdgevoiceError` naming the field for one that will not do."""
    beside = file.with_name(file.name + ".json")
    try:
        if beside.stat().st_size > LARGEST_FILE:
            raise EdgevoiceError(f"{beside} is larger than any voice's settings: download the voice again")
        config = msgspec.convert(json.loads(beside.read_text(encoding="utf-8")), Config)
    except FileNotFoundError:
        raise EdgevoiceError(f"{beside} is missing: a Piper voice needs it beside {file.name}") from None
    except msgspec.ValidationError as error:
        raise EdgevoiceError(f"{beside} does not describe a Piper voice: {error}") from None
    except (ValueError, RecursionError):
        raise EdgevoiceError(f"{beside} is no JSON: download the voice again") from None
    if (symbols := config.phoneme_type or "espeak") != "espeak":
        raise EdgevoiceError(f"{beside}: the voice learnt {symbols!r} symbols, not espeak's phonemes")
    return config


def check_ids(config: Config, known: int | None, file: Path) -> None:
    """Every id must have a row in the voice's table of ``known`` symbols (None: not found in its graph)."""
    for symbol, ids in config.phoneme_id_map.items():
        for number in (ids,) if isinstance(ids, int) else ids:
            if known is not None and number >= known:
                raise EdgevoiceError(
                    f"{file}.json: phoneme_id_map gives {symbol[:20]!r} the id {number}, and the voice knows "
                    f"{known} symbols: download the voice again"
                )
