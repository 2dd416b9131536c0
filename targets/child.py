"""What a fresh Python interpreter prints: for what only a process of its own can measure."""

from __future__ import annotations

import subprocess
import sys


class Failed(Exception):
    """One line that says how the process failed."""


def number(*arguments: str, seconds: float) -> int:
    """The whole number that `python ARGUMENTS` prints.

    Raises `Failed` if it prints something else, does not end within ``seconds`` (it is stopped) or fails:
    with the last line of its standard error, if it has one.
    """
    try:
        done = subprocess.run(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"the process did not end within {seconds} s") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise Failed(lines[-1] if lines else f"the process ended with status {done.returncode}")
    try:
        return int(done.stdout)
    except ValueError:
        raise Failed(f"the process answered {done.stdout[:60]!r} instead of a number") from None
