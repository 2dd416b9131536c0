"""What goes over the socket; see `edgevoice.serve` for the words. Needs neither numpy nor an engine."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar

import msgspec

from edgevoice.errors import EdgevoiceError
from edgevoice.options import PAUSE_SECONDS

REQUEST_BYTES = 256 << 10
REQUEST_SECONDS = 10.0
SOUND_BYTES = 64 << 10
"""Of one frame at most: a client needs no more memory than that."""

FRAME_BYTES = 1 << 20
"""No frame is longer."""

HEAD = struct.Struct("<cI")

Kind = Literal[b"H", b"N", b"S", b"E", b"X", b"I"]
Speaker = str | int | dict[str, float] | None
Reason = Literal["nothing", "refused", "busy", "stopping", "broken"]

_SURROGATES = re.compile("[\ud800-\udfff]")


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    do: Literal["speak", "status", "reload"] = "speak"
    text: str = ""
    speed: float = 1.0
    pause: float = PAUSE_SECONDS
    speaker: Speaker = None
    seed: int = 0


class Header(msgspec.Struct, frozen=True):
    rate: int
    release: str
    voice: str
    stand_in: str = ""


class End(msgspec.Struct, frozen=True):
    samples: int


class Failure(msgspec.Struct, frozen=True):
    error: str
    reason: Reason


class Status(msgspec.Struct, frozen=True):
    """``instance`` differs each time that the service starts; ``folder`` tells folders apart (`place.mark`).

    ``waiting``: requests that are being spoken or wait for it. ``trial``: the release is not committed yet.
    ``problem``: why it does not speak with the current release, or ``""``; ``remark``: why stages run
    elsewhere than the release was made for.
    """

    root: str
    folder: str
    release: str
    voice: str
    rate: int
    instance: str
    pid: int
    threads: int
    waiting: int = 0
    spoken: int = 0
    seconds: float = 0.0
    trial: bool = False
    problem: str = ""
    remark: str = ""


class TooLong(EdgevoiceError):
    """The request is longer than a service takes."""


Answer = TypeVar("Answer", Header, End, Failure, Status)


@dataclass(frozen=True)
class Words:
    """A request to speak, on the client's side; the fields are those of `Request`."""

    text: str
    speed: float = 1.0
    pause: float = PAUSE_SECONDS
    speaker: Speaker = None
    seed: int = 0


def line(words: Words) -> bytes:
    """The request's line; bytes that were no text go as replacement characters, which are skipped aloud."""
    plain = asdict(words)
    plain["text"] = _SURROGATES.sub("\ufffd", words.text)
    if isinstance(words.speaker, str):
        plain["speaker"] = _SURROGATES.sub("\ufffd", words.speaker)
    return ask(plain)


def ask(plain: dict[str, Any]) -> bytes:
    data = json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"
    if len(data) > REQUEST_BYTES:
        raise TooLong(f"the text is longer than the service takes ({REQUEST_BYTES >> 10} KiB): cut it up")
    return data


def read(data: bytes) -> Request:
    """Raises `EdgevoiceError` for what is no request."""
    try:
        return msgspec.json.decode(data, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EdgevoiceError(f"this is no request: {error}") from None


def frame(kind: Kind, payload: bytes) -> bytes:
    return HEAD.pack(kind, len(payload)) + payload


def told(kind: Kind, answer: msgspec.Struct) -> bytes:
    return frame(kind, msgspec.json.encode(answer))


def sound(pcm: bytes) -> list[bytes]:
    """The frames of so much sound."""
    return [frame(b"S", pcm[at : at + SOUND_BYTES]) for at in range(0, len(pcm), SOUND_BYTES)]


def answer(payload: bytes, kind: type[Answer]) -> Answer:
    """Raises `EdgevoiceError` for what this version cannot read."""
    try:
        return msgspec.json.decode(payload, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise EdgevoiceError("the service answers what this edgevoice cannot read: update both") from None
