"""Ask a running service to speak. Imports neither numpy nor an engine, so that it answers at once."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from edgevoice.errors import EdgevoiceError, NothingToSay
from edgevoice.serve import place, protocol
from edgevoice.serve.protocol import Failure, Header, Kind, Status, Words

ANSWER_SECONDS = 20.0
"""Until the service says anything at all: it may be in the middle of a chunk, or loading after a restart."""

SOUND_SECONDS = 300.0
"""Between two chunks: others may be before us."""


STRANGE = "the service answers what this edgevoice cannot read: update both"

Note = Callable[[str], None]
Frame = tuple[Kind, bytes]


class ServiceAbsent(EdgevoiceError):
    """Nobody listens there."""


class ServiceIll(EdgevoiceError):
    """Somebody should be listening there, but speaks not, or not now."""


class Speech:
    """What the service speaks: iterate over signed 16-bit little-endian samples as they come.

    Iterating raises `EdgevoiceError` where the sound ends before its time. `close` says that no more of it
    is wanted, which ends the work on it.
    """

    def __init__(self, connection: _Connection, header: Header, first: Frame, note: Note) -> None:
        self.header = header
        self._connection, self._first, self._note = connection, first, note

    def __iter__(self) -> Iterator[bytes]:
        kind, payload = self._first
        try:
            while kind != b"E":
                if kind == b"X":
                    raise EdgevoiceError(protocol.answer(payload, Failure).error)
                if kind == b"N":
                    self._note(payload.decode("utf-8", "replace"))
                if kind == b"S":
                    yield payload
                kind, payload = self._connection.frame()
        except ServiceIll as error:
            raise EdgevoiceError(f"{error}, in the middle of the speech: say it again") from None
        finally:
            self.close()

    def close(self) -> None:
        self._connection.close()


def find(root: str | Path, socket_path: Path | None = None, seconds: float = ANSWER_SECONDS) -> Path | None:
    """The socket of the service that runs for the deployed folder ``root``; None if none does.

    Raises `ServiceIll` where one is there that cannot be asked.
    """
    wanted = place.mark(root)
    for path in [socket_path] if socket_path else place.candidates(root):
        with suppress(ServiceAbsent):
            if status(path, seconds).folder == wanted:
                return path
    return None


def status(path: Path, seconds: float = ANSWER_SECONDS) -> Status:
    """The state of the service that listens at ``path``."""
    return _told(path, {"do": "status"}, seconds)


@dataclass(frozen=True)
class Report:
    """What is to be said of a folder's service: its ``state``, the ``problem`` with it, or neither."""

    state: Status | None = None
    problem: str = ""

    def __str__(self) -> str:
        if self.state is None:
            return self.problem or "none runs"
        trial = ", on trial" if self.state.trial else ""
        problems = "".join(f"; {text}" for text in (self.state.problem, self.state.remark) if text)
        return f"{self.state.release}  {self.state.voice}{trial}{problems}"

    def to_dict(self) -> dict[str, Any] | None:
        if self.state is not None:
            return msgspec.structs.asdict(self.state)
        return {"problem": self.problem} if self.problem else None


def report(root: str | Path, socket_path: Path | None = None) -> Report:
    """The service that runs for ``root``, for people."""
    try:
        found = find(root, socket_path)
        return Report(status(found) if found else None)
    except EdgevoiceError as error:
        return Report(problem=str(error))


def reload(path: Path, seconds: float = 120.0) -> Status:
    """Have it take up the release that is current now; its state afterwards.

    A service without the memory for two voices restarts itself: ``instance`` and ``release`` are then the old
    ones still. Raises `EdgevoiceError` if it refuses, or cannot load the release and so keeps the old one.
    """
    return _told(path, {"do": "reload"}, seconds)


def speak(path: Path, words: Words, note: Note = lambda _: None, seconds: float = ANSWER_SECONDS) -> Speech:
    """Have the service at ``path`` speak; returns with the first sound. ``note`` is told what is skipped.

    Raises `ServiceAbsent` or `ServiceIll` where it cannot, before any sound: then another way may be tried;
    `NothingToSay` and other `EdgevoiceError` for a request that no voice can speak.
    """
    connection = _Connection(path, protocol.line(words), seconds)
    try:
        return _begin(connection, note)
    except BaseException:
        connection.close()
        raise


def _begin(connection: _Connection, note: Note) -> Speech:
    header: Header | None = None
    while True:
        kind, payload = connection.frame()
        if kind == b"X":
            raise _refusal(payload)
        if kind == b"N":
            note(payload.decode("utf-8", "replace"))
        elif kind == b"H":
            header = protocol.answer(payload, Header)
            connection.patience(SOUND_SECONDS)
        elif header is not None and kind in (b"S", b"E"):
            return Speech(connection, header, (kind, payload), note)
        else:
            raise ServiceIll(STRANGE)


def _told(path: Path, request: dict[str, object], seconds: float) -> Status:
    connection = _Connection(path, protocol.ask(request), seconds)
    try:
        kind, payload = connection.frame()
        if kind == b"X":
            raise _refusal(payload)
        return protocol.answer(payload, Status)
    finally:
        connection.close()


def _refusal(payload: bytes) -> EdgevoiceError:
    failure = protocol.answer(payload, Failure)
    if failure.reason == "nothing":
        return NothingToSay(failure.error)
    return EdgevoiceError(failure.error) if failure.reason == "refused" else ServiceIll(failure.error)


class _Connection:
    def __init__(self, path: Path, request: bytes, seconds: float) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(seconds)
            with place.address(path) as address:
                connect(self._socket, address, seconds)
            with suppress(BrokenPipeError, ConnectionResetError):  # refused already: the answer says why
                self._socket.sendall(request)
        except OSError as error:
            self._socket.close()
            raise _unreachable(path, error) from None
        self._stream: BinaryIO = self._socket.makefile("rb")

    def frame(self) -> Frame:
        kind, length = protocol.HEAD.unpack(self._read(protocol.HEAD.size))
        if length > protocol.FRAME_BYTES:
            raise ServiceIll(STRANGE)
        return kind, self._read(length)

    def _read(self, count: int) -> bytes:
        try:
            data = self._stream.read(count)
        except TimeoutError:
            raise ServiceIll(f"the service at {self._path} does not answer") from None
        except OSError as error:
            raise ServiceIll(f"the service at {self._path} broke off ({error.strerror})") from None
        if len(data) < count:
            raise ServiceIll(f"the service at {self._path} broke off")
        return data

    def patience(self, seconds: float) -> None:
        self._socket.settimeout(seconds)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


def connect(peer: socket.socket, address: str, seconds: float) -> None:
    """Connect, and wait for a place in the queue: a socket with a timeout is else sent away at once."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return peer.connect(address)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError from None
            time.sleep(0.01)


def _unreachable(path: Path, error: OSError) -> EdgevoiceError:
    if error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR):
        return ServiceAbsent(f"no service listens at {path}: start one with `edgevoice serve`")
    if error.errno in (errno.EACCES, errno.EPERM):
        return ServiceIll(f"you may not speak to the service at {path}: ask for a place in its group")
    if isinstance(error, TimeoutError):
        return ServiceIll(f"the service at {path} does not answer")
    return ServiceIll(f"the service at {path} cannot be reached ({error.strerror})")
