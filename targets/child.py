"""What a fresh Python interpreter answers: for what needs a process of its own, or may crash in it."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any


class Failed(Exception):
    """One line that says how the process failed. ``cut``: it was stopped or killed, by no fault of its own
    perhaps: for its time, or for the memory that others needed."""

    def __init__(self, message: str, cut: bool = False) -> None:
        super().__init__(message)
        self.cut = cut


def number(*arguments: str, seconds: float) -> int:
    """The whole number that `python ARGUMENTS` prints.

    Raises `Failed` if it prints something else, does not end within ``seconds`` (it is stopped) or fails:
    with the last line of its standard error, if it has one.
    """
    done = _run([sys.executable, *arguments], seconds)
    if done.returncode:
        raise Failed(_last_line(done) or f"the process ended with status {done.returncode}")
    try:
        return int(done.stdout)
    except ValueError:
        raise Failed(f"the process answered {done.stdout[:60]!r} instead of a number") from None


def answer(*arguments: str, seconds: float, python: Sequence[str] = ()) -> dict[str, Any]:
    """The JSON object in the last line that `python ARGUMENTS` prints; libraries may print before it.

    ``python``: the interpreter's command, if not this one's.

    Raises `Failed` where there is none, with the status and the last line of its standard error.
    """
    done = _run([*(python or [sys.executable]), *arguments], seconds)
    try:
        found = json.loads(done.stdout.rstrip().rpartition("\n")[2])
    except ValueError:
        found = None
    if not isinstance(found, dict):
        last = _last_line(done)
        message = f"the process ended with status {done.returncode}{f': {last}' if last else ''}"
        raise Failed(message, cut=-done.returncode in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT))
    return found


def end_with_parent(parent: int = 0) -> None:
    """For the child: be killed when the process that started it ends. ``parent``: its number, where it may
    have ended before this call."""
    set_death_signal = 1
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
    if parent and os.getppid() != parent:
        sys.exit("the process that started this one has ended")


def _run(command: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"the process did not end within {seconds:g} s", cut=True) from None


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else ""
