"""ONNX Runtime on the CPU, the embedded default."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines import Array

_pool: int | None = None


class OnnxEngine:
    """One stage as an ONNX Runtime session.

    Threads that wait do not spin: with a pool for each of three stages at two threads, the waiting ones would
    take back what the second thread gains (real-time factor 0.085 against 0.064 on a Piper voice).
    `share_pool` makes it one pool.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        try:
            self._session = ort.InferenceSession(str(path), _options(threads), ["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own exception classes share no public base
            raise _refusal("load", path, error) from None
        self.inputs = tuple(node.name for node in self._session.get_inputs())

    def run(self, feeds: Mapping[str, Array]) -> list[npt.NDArray[np.float32]]:
        try:
            outputs: list[npt.NDArray[np.float32]] = self._session.run(None, feeds)
        except Exception as error:
            raise _refusal("run", self._path, error) from None
        return outputs


def _refusal(verb: str, path: Path, error: Exception) -> EdgevoiceError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return EdgevoiceError(f"ONNX Runtime {ort.__version__} cannot {verb} {path}: {reason}")


def _options(threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.log_severity_level = 4  # its errors come as exceptions too
    # Chunks differ in length, and a memory pattern would be kept for each length: 151 MB against 131 MB at
    # the same speed on a Piper voice's acoustic model and vocoder.
    options.enable_mem_pattern = False
    _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    set_threads(options, threads)
    if _pool is None:
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def set_threads(options: ort.SessionOptions, threads: int) -> None:
    """A pool of its own for the session, unless this process has one for all: others are refused then."""
    options.use_per_session_threads = _pool is None
    if _pool is None:
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1


@lru_cache(maxsize=1)
def _share_arena() -> None:
    """One arena for all stages, which run in turn: it grows to the largest stage, not to the sum.

    It grows by powers of two; growing by what is asked for fragments (148 MB against 129 MB, same voice).
    """
    memory = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    ort.create_and_register_allocator(memory, ort.OrtArenaCfg({"arena_extend_strategy": 0}))


def share_pool(threads: int) -> None:
    """Let all stages of this process use one pool of ``threads``, for programs of our own.

    ONNX Runtime then refuses, process-wide, sessions with a pool of their own: a library must not do that to
    its user's other models.
    """
    global _pool
    if _pool is None:
        ort.set_global_thread_pool_sizes(threads, 1)
        _pool = threads
