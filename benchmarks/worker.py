"""The process that is measured: loads one engine, then speaks what its standard input asks for.

Lines of JSON, one answer a request; whatever a library prints goes to standard error.
"""

from __future__ import annotations

import time

START, START_CPU = time.perf_counter(), time.process_time()

import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from benchmarks.ear import Ear  # noqa: E402
from benchmarks.engines import Speaker  # noqa: E402


def main(module: str, path: str, threads: int, options: dict[str, int]) -> None:
    # A library that prints must not speak into the protocol.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    try:
        speaker: Speaker = importlib.import_module(module).load(Path(path), threads, **options)
        load = {"load": time.perf_counter() - START, "load_cpu": time.process_time() - START_CPU}
        print(json.dumps({**load, "about": speaker.about, "sample_rate": speaker.sample_rate}), file=answers)
        for line in sys.stdin:
            print(json.dumps(answer(speaker, json.loads(line))), file=answers)
    except Exception as error:  # whatever it is, the parent names the engine and stops
        print(json.dumps({"error": f"{error}" or type(error).__name__}), file=answers)


def answer(speaker: Speaker, request: dict[str, Any]) -> dict[str, Any]:
    """``{"say", "seed"}``: seconds, as `Ear.end` has them; anything else: what the process has taken."""
    if "say" not in request:
        return {"peak_mib": peak_mib(), "threads": thread_seconds()}
    ear = Ear(speaker.sample_rate)
    speaker.speak(request["say"], request["seed"], ear.hear)
    return ear.end()


def peak_mib() -> float:
    """The most memory that this process had resident so far (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("/proc/self/status has no VmHWM: measure on Linux")


def thread_seconds() -> dict[str, float]:
    """CPU seconds of each thread of this process."""
    tick = os.sysconf("SC_CLK_TCK")
    seconds = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        seconds[task.name] = (int(fields[11]) + int(fields[12])) / tick
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), json.loads(sys.argv[4]))
