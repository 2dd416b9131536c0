"""One client: what it has sent of its request, and what it is still to be sent."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress

from edgevoice.serve.protocol import REQUEST_BYTES

AHEAD_BYTES = 128 << 10
"""Unsent sound above which a client's work waits: it plays more slowly than the voice speaks."""

READ_BYTES = 64 << 10


class Gone(Exception):
    """The client has closed the connection."""


class Connection:
    """``line``: the request, once all of it is there. ``last``: marks the end of what is to be sent."""

    def __init__(self, peer: socket.socket) -> None:
        peer.setblocking(False)
        self.peer = peer
        self.line: bytes | None = None
        self.last = False
        self.opened = self.moved = time.monotonic()
        self._incoming, self._outgoing = bytearray(), bytearray()
        self._heard_all = False

    @property
    def wants_to_read(self) -> bool:
        return not self._heard_all

    @property
    def unsent(self) -> int:
        return len(self._outgoing)

    @property
    def full(self) -> bool:
        return len(self._outgoing) >= AHEAD_BYTES

    @property
    def done(self) -> bool:
        return self.last and not self._outgoing

    def user(self) -> int:
        """The user id of the process that connected, as the kernel knows it."""
        credentials = self.peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[1])

    def read(self) -> bool:
        """Take what has come; True once, when the request is complete.

        Raises `Gone`, and `ValueError` for a request that is too long.
        """
        try:
            data = self.peer.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            raise Gone from None
        if not data:
            # Only its own side may be closed: a client that is gone altogether shows when it is written to.
            self._heard_all = True
            if self.line is None and (self.last or not self._incoming):
                raise Gone
        if self.line is not None or self.last:
            return False  # one request a connection
        self._incoming += data or b"\n"
        line, end, _ = self._incoming.partition(b"\n")
        if len(line) >= REQUEST_BYTES:
            raise ValueError
        if end:
            self.line = bytes(line)
            self._incoming.clear()
        return bool(end)

    def send(self, frames: Iterable[bytes], last: bool = False) -> None:
        """Queue ``frames`` and send what the client takes now. Raises `Gone`."""
        if not self._outgoing:
            self.moved = time.monotonic()
        for frame in frames:
            self._outgoing += frame
        self.last = self.last or last
        self.flush()

    def flush(self) -> None:
        """Raises `Gone`."""
        while self._outgoing:
            try:
                count = self.peer.send(self._outgoing)
            except BlockingIOError:
                return
            except OSError:
                raise Gone from None
            del self._outgoing[:count]
            self.moved = time.monotonic()

    def linger(self) -> None:
        """No more will be sent. Closed with something unread, the line would be reset and the answer lost."""
        with suppress(OSError):
            self.peer.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        with suppress(OSError):
            self.peer.close()
