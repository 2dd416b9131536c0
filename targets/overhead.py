"""What an engine's libraries and context occupy before any voice is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from targets import child
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


# Fitted: what was missing between weights + arena + buffers and the peak of a process that loaded a voice and
# said two sentences (one thread, espeak; x86-64 Linux, Python 3.11, onnxruntime 1.32): 98 MiB for a Piper
# voice in FP32, 99.3 in INT8, 87 for a voice of 0.6 MiB. Python, numpy and onnxruntime are 48 MiB of it,
# edgevoice's own modules 12; the rest is the sessions' graphs and packed weights, and the text front end.
CPU = Overhead(
    100 * MIB,
    ESTIMATE,
    "python, onnxruntime, three sessions and the text front end (fitted to peaks read on x86-64 Linux)",
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
    """Reads what the libraries alone take here, about half of `CPU` (Linux only; a second or so)."""
    try:
        kilobytes = child.number("-c", MEASURE, seconds=LIMIT_SECONDS)
    except child.Failed as error:
        raise TargetError(
            f"the runtime's memory cannot be read, it needs Linux and onnxruntime installed: {error}"
        ) from None
    return Overhead(kilobytes * 1024, READING, "python, numpy and onnxruntime resident, read on this machine")
