"""The memory of the GPU that all engines of a voice share: one arena, one block of inputs and outputs.

Stages run one after another on one stream, so both are as large as the largest stage needs, not the sum. The
lock holds that: a voice may serve several threads.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from edgevoice.runtime.engines.cuda import Cuda, CudaError, Host

ALIGNMENT = 256
"""Bytes: what TensorRT asks of the addresses that it is given."""


def aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


class Shared:
    """The stream, the arena and the block of one voice's engines; freed when no engine refers to it.

    ``unified``: the host's block is mapped, and the device reads and writes it there, without copies.
    """

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.lock = threading.Lock()
        self.unified = cuda.device().integrated
        self.arena = self.arena_bytes = self.block_bytes = 0
        self.device_block = 0
        """The device's address of the block."""
        self.host: Host | None = None
        self._undo: list[Callable[[], None]] = []
        self.close = weakref.finalize(self, _free, self._undo)
        self.close.atexit = False  # the driver may be gone by then, and takes all of it back anyway
        self.stream = stream = cuda.stream()
        self._undo.append(lambda: cuda.free_stream(stream))

    def reserve(self, arena_bytes: int, block_bytes: int) -> None:
        """Allocate once, for the largest engine. Raises `CudaError` and frees what it had."""
        cuda = self.cuda
        self.arena_bytes, self.block_bytes = aligned(max(arena_bytes, 1)), aligned(max(block_bytes, 1))
        try:
            self.arena = self._device_memory(self.arena_bytes)
            host = cuda.malloc_host(self.block_bytes, mapped=self.unified)
            self._undo.append(lambda: cuda.free_host(host))
            self.host = host
            self.device_block = host.device if self.unified else self._device_memory(self.block_bytes)
        except CudaError:
            self.close()
            raise

    def _device_memory(self, size: int) -> int:
        cuda = self.cuda  # a finalizer that refers to its object would keep it alive
        pointer = cuda.malloc(size)
        self._undo.append(lambda: cuda.free(pointer))
        return pointer

    def keep(self, graph: Any) -> None:
        """Free ``graph`` with the rest."""
        cuda = self.cuda
        self._undo.append(lambda: cuda.free_graph(graph))


def _free(undo: list[Callable[[], None]]) -> None:
    """Last made, first freed; a lost device frees nothing more, and that is no fault here."""
    while undo:
        with suppress(CudaError):
            undo.pop()()
