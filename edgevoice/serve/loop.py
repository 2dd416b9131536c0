"""The service's one thread: clients, the next chunk of speech, timers. Nobody waits for a slow client."""

from __future__ import annotations

import select
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from edgevoice.serve import protocol
from edgevoice.serve.connection import Connection, Gone
from edgevoice.serve.protocol import REQUEST_BYTES, REQUEST_SECONDS, Failure

MOST_CONNECTIONS = 128
STALL_SECONDS = 120.0
"""Without a byte taken: more than the longest pause plays, in which a client need not read."""


class Worker(Protocol):
    """What the loop serves."""

    def request(self, connection: Connection) -> None: ...

    def gone(self, connection: Connection) -> None: ...

    def work(self) -> bool:
        """Do a little; whether there is more that can be done at once."""
        ...

    def tick(self, now: float) -> float | None:
        """Look after what time brings; seconds until the next look, None if there is nothing to wait for."""
        ...


class Loop:
    """Runs until `stop` has been called and everything is sent, or its limit is over."""

    def __init__(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        self._listener: socket.socket | None = listener
        self._connections: dict[int, Connection] = {}
        self._poll = select.poll()
        self._poll.register(listener, select.POLLIN)
        self._ear, self._bell = socket.socketpair()
        for end in (self._ear, self._bell):
            end.setblocking(False)
        self._poll.register(self._ear, select.POLLIN)
        self._signals: dict[int, Callable[[], None]] = {}
        self._stop_at: float | None = None

    def on_signal(self, number: int, action: Callable[[], None]) -> None:
        """Call ``action`` in the loop, not in the middle of something."""
        self._signals[number] = action
        signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._bell.fileno(), warn_on_full_buffer=False)

    def ring(self) -> None:
        """Wake the loop up, from any thread."""
        with suppress(OSError):
            self._bell.send(b"\0")

    @property
    def connections(self) -> int:
        return len(self._connections)

    def stop(self, seconds: float) -> None:
        """Take nobody new; end when all is said, or after ``seconds``."""
        self._stop_at = min(self._stop_at or float("inf"), time.monotonic() + seconds)
        if self._listener is not None:
            self._poll.unregister(self._listener)
            self._listener = None
        for connection in list(self._connections.values()):
            if connection.line is None:
                self._serve(connection, select.POLLIN)  # what has come already is a request like any other
            if connection.line is None:
                self.drop(connection)

    def run(self, worker: Worker) -> None:
        self._worker = worker
        more = False
        while not self._over():
            until = worker.tick(time.monotonic())
            for descriptor, event in self._poll.poll(0 if more else self._patience(until)):
                self._event(descriptor, event)
            self._expire(time.monotonic())
            more = worker.work()

    def send(self, connection: Connection, frames: Iterable[bytes], last: bool = False) -> None:
        """Send to a client that may be gone; one that has all is let go."""
        try:
            connection.send(frames, last)
        except Gone:
            self.drop(connection)
        else:
            self.settle(connection)

    def refuse(self, connection: Connection, failure: Failure) -> None:
        self.send(connection, [protocol.told(b"X", failure)], last=True)

    def _over(self) -> bool:
        if self._stop_at is None:
            return False
        return not self._connections or time.monotonic() > self._stop_at

    def _patience(self, until: float | None) -> float | None:
        """Milliseconds to sleep: until the worker's next look, or until a client's time is over."""
        now = time.monotonic()
        ends = [end for connection in self._connections.values() if (end := _deadline(connection))]
        ends += [self._stop_at] if self._stop_at else []
        waits = [max(0.0, end - now) for end in ends] + ([until] if until is not None else [])
        return 1000 * min(waits) + 1 if waits else None

    def _event(self, descriptor: int, event: int) -> None:
        if descriptor == self._ear.fileno():
            self._hear()
        elif self._listener is not None and descriptor == self._listener.fileno():
            self._accept(self._listener)
        elif descriptor in self._connections:
            self._serve(self._connections[descriptor], event)

    def _hear(self) -> None:
        numbers = b""
        with suppress(BlockingIOError):
            numbers = self._ear.recv(4096)
        for number in numbers:
            if number in self._signals:
                self._signals[number]()

    def _accept(self, listener: socket.socket) -> None:
        try:
            peer, _ = listener.accept()
        except OSError:  # gone again, or no descriptor is left: whoever ends frees one
            time.sleep(0.01)
            return
        if len(self._connections) >= MOST_CONNECTIONS:
            self._make_room()
        connection = Connection(peer)
        self._connections[peer.fileno()] = connection
        self._poll.register(peer, select.POLLIN)
        if len(self._connections) > MOST_CONNECTIONS:
            self.refuse(connection, Failure("the service is busy: try again", "busy"))
            self.drop(connection)

    def _make_room(self) -> None:
        """Whoever has waited longest with an unfinished request has to go."""
        idle = [connection for connection in self._connections.values() if connection.line is None]
        if idle:
            self.drop(min(idle, key=lambda connection: connection.opened))

    def _serve(self, connection: Connection, event: int) -> None:
        try:
            if event & select.POLLOUT:
                connection.flush()
            if event & select.POLLIN and connection.wants_to_read and connection.read():
                self._worker.request(connection)
            elif event & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
                raise Gone
        except ValueError:
            error = f"a request may have {REQUEST_BYTES >> 10} KiB at most: cut the text up"
            self.refuse(connection, Failure(error, "refused"))
        except Gone:
            self.drop(connection)
            return
        self.settle(connection)

    def settle(self, connection: Connection) -> None:
        """Close a connection that is done; of another hear what matters now."""
        descriptor = connection.peer.fileno()
        if descriptor not in self._connections:
            return
        if connection.done and (connection.line is not None or not connection.wants_to_read):
            self.drop(connection)
            return
        if connection.done:
            connection.linger()
        reading = select.POLLIN if connection.wants_to_read else 0
        self._poll.modify(descriptor, reading | (select.POLLOUT if connection.unsent else 0))

    def _expire(self, now: float) -> None:
        for connection in list(self._connections.values()):
            if now > (_deadline(connection) or now):
                self.drop(connection)

    def drop(self, connection: Connection) -> None:
        descriptor = connection.peer.fileno()
        if self._connections.pop(descriptor, None) is None:
            return
        self._poll.unregister(descriptor)
        connection.close()
        self._worker.gone(connection)


def _deadline(connection: Connection) -> float | None:
    if connection.line is None:
        return connection.opened + REQUEST_SECONDS
    return connection.moved + STALL_SECONDS if connection.unsent else None
