"""What systemd is told (sd_notify): ready, state, still alive. Without systemd all of it is nothing."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class Supervisor:
    """Whoever set ``NOTIFY_SOCKET``; see sd_notify(3). ``watchdog_seconds``: how often to say `alive`."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _half(environment)

    def ready(self, state: str) -> None:
        self._tell("READY=1", f"STATUS={state}")

    def state(self, state: str) -> None:
        self._tell(f"STATUS={state}")

    def reloading(self) -> None:
        # Newer systemd wants the time too; to be undone by `ready`.
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._tell("STOPPING=1")

    def alive(self) -> None:
        self._tell("WATCHDOG=1", patience=0.0)  # the next one comes soon

    def _tell(self, *lines: str, patience: float = 1.0) -> None:
        """A supervisor that does not listen must not stop the voice for longer than ``patience``."""
        if self._address[:1] not in ("/", "@"):
            return
        name = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as speaker:
            speaker.settimeout(patience)
            speaker.connect(name)
            speaker.send("\n".join(lines).encode())


def _half(environment: Mapping[str, str]) -> float | None:
    """Half of the time after which systemd takes the process for dead, in seconds."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    with suppress(ValueError):
        return int(environment.get("WATCHDOG_USEC", "")) / 2e6 or None
    return None
