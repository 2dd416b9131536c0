"""Run the self-test in a process of its own, watched for time and memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edgevoice.deploy.selftest import Report, peak_bytes
from edgevoice.options import Wish
from targets import memory
from targets.render import megabytes

COMMAND = (sys.executable, "-m", "edgevoice.deploy.selftest")
POLL_SECONDS = 0.02


def run(
    folder: Path,
    budget: int | None = None,
    engine: Wish = "",
    text: str = "",
    timeout: float = 600.0,
    command: Sequence[str] = COMMAND,
) -> Report:
    """Let the release in ``folder`` speak ``text`` (default: a sentence in its language).

    ``engine``: the one that it must speak by. ``budget``: bytes it may keep resident, its libraries included;
    never more than the machine has available.
    A crash, a timeout (seconds) or a breach of the budget is a problem in the report, not an exception.
    """
    available = memory.read().available
    limit = available if budget is None else min(budget, available)
    arguments = [*command, str(folder), "--parent", str(os.getpid())]
    arguments += ["--require", engine] if engine else []
    process = subprocess.Popen(
        arguments + (["--text", text] if text else []),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        return _watch(process, limit, timeout)
    finally:
        process.kill()
        process.wait()


def _watch(process: subprocess.Popen[bytes], limit: int, timeout: float) -> Report:
    deadline = time.monotonic() + timeout
    peak = 0
    while True:
        try:
            output, errors = process.communicate(timeout=POLL_SECONDS)
            return _judge(process.returncode, output, errors, peak, limit)
        except subprocess.TimeoutExpired:
            peak = max(peak, peak_bytes(process.pid))
        if peak > limit:
            return Report([_exceeds(peak, limit)], peak_bytes=peak)
        if time.monotonic() > deadline:
            return Report([f"it did not finish one sentence within {timeout:g} s"], peak_bytes=peak)


def _judge(status: int, output: bytes, errors: bytes, peak: int, limit: int) -> Report:
    if status:
        return Report([_ending(status, errors)], peak_bytes=peak)
    try:
        report = msgspec.json.decode(output.rstrip().rpartition(b"\n")[2], type=Report)
    except msgspec.DecodeError:
        return Report(["it ended without a report"], peak_bytes=peak)
    if report.peak_bytes > limit:
        problems = [*report.problems, _exceeds(report.peak_bytes, limit)]
        return msgspec.structs.replace(report, problems=problems)
    return report


def _exceeds(peak: int, limit: int) -> str:
    return f"it takes {megabytes(peak)} of memory, the budget is {megabytes(limit)}"


def _ending(status: int, errors: bytes) -> str:
    last = errors.decode(errors="replace").strip().rpartition("\n")[2]
    how = f"died of {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return f"the process that loaded it {how}" + (f" ({last})" if last else "")
