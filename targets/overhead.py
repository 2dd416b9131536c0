"""What an engine's libraries and context occupy before any voice is loaded."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from targets.errors import TargetError
from targets.profile import MIB, Target

READING = "reading"
ESTIMATE = "estimate"

LIMIT_SECONDS = 120

# Imports what every ONNX Runtime process imports and prints its resident memory in kB. Run with `python -c`.
MEASURE = (
    "import numpy, onnxruntime; "
    "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmRSS')))"
)


@dataclass(frozen=True)
class Overhead:
    """Bytes, whether they were read or estimated, and on what basis."""

    bytes: int
    mark: str
    basis: str


# Read with `python -c "$MEASURE"` three times (45796, 45844 and 45848 kB): x86-64 Linux, Python 3.11.7,
# numpy 2.4.6, onnxruntime 1.32.0.
CPU = Overhead(
    45_848 * 1024,
    READING,
    "python, numpy and onnxruntime resident (read on x86-64 Linux, Python 3.11, onnxruntime 1.32)",
)
# Nobody has read these on a device yet. On a Jetson the host's libraries and the CUDA context share the one
# memory; on a card only the context and the kernels do. Both are set high: a plan errs towards refusing.
JETSON = Overhead(550 * MIB, ESTIMATE, "CUDA context, TensorRT and python (not measured on a board)")
CARD = Overhead(350 * MIB, ESTIMATE, "CUDA context and TensorRT (not measured on a card)")


def of(target: Target) -> Overhead:
    """The runtime's overhead on a target: the profile's own figure, else the one of its engine and kind."""
    if target.runtime_bytes is not None:
        confirmed = "runtime_mib" not in target.unconfirmed
        return Overhead(target.runtime_bytes, READING if confirmed else ESTIMATE, "given by the profile")
    if target.engine == "onnxruntime":
        return CPU
    return JETSON if target.shared_memory else CARD


def measure() -> Overhead:
    """Reads the CPU overhead on this machine in a fresh interpreter (Linux only; a second or so)."""
    try:
        run = subprocess.run(
            [sys.executable, "-c", MEASURE],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TargetError(
            f"the runtime's memory cannot be read: the process did not end within {LIMIT_SECONDS} s"
        ) from None
    if run.returncode != 0 or not run.stdout.strip().isdigit():
        raise TargetError(
            "the runtime's memory cannot be read here: it needs Linux and onnxruntime installed"
        )
    return Overhead(
        int(run.stdout) * 1024, READING, "python, numpy and onnxruntime resident, read on this machine"
    )
