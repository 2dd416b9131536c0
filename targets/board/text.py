"""Files of the kernel and of tools, which may be absent, unreadable or full of anything."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

LARGEST = 1 << 20
LINES, LONGEST_LINE = 1000, 1 << 16


def of_file(path: Path) -> str:
    """The file's text, empty where it cannot be read."""
    try:
        with open(path, "rb") as stream:
            return stream.read(LARGEST).decode("utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return ""


def number(path: Path) -> int | None:
    """The whole number that a file holds, and nothing else."""
    text = of_file(path)
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def of_command(command: Sequence[str], seconds: float) -> str:
    """What a command prints; empty where it is missing, fails, or does not end within ``seconds``."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return _text(done.stdout) if done.returncode == 0 else ""


def of_line(command: Sequence[str], seconds: float, parse: Callable[[str], T | None]) -> T | None:
    """What ``parse`` makes of the first line that it knows; then, or when it is late, it is stopped."""
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
    except OSError:
        return None
    assert process.stdout is not None
    late = threading.Timer(seconds, process.kill)
    late.start()
    try:
        for _ in range(LINES):
            line = process.stdout.readline(LONGEST_LINE)
            found = parse(_text(line))
            if found is not None or not line:
                return found
        return None
    finally:
        late.cancel()
        process.kill()
        process.stdout.close()
        process.wait()


def _text(raw: bytes) -> str:
    return raw[:LARGEST].decode("utf-8", errors="replace")
