"""A GPU made of the host's memory: what CUDA promises, and what it does to those who break its rules.

Work on a stream runs when somebody waits for it, not before; an address that is none ends the device for this
process, as a real one does.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arena = tuple[int, int]
"""Address and bytes."""

Operation = tuple[Callable[[], None], "Arena | None"]


class Fault(Exception):
    """Carries the name of the error that CUDA would answer with."""


@dataclass
class Memory:
    """Bytes at a real address, which is a multiple of 256."""

    size: int
    mapped: bool = False

    def __post_init__(self) -> None:
        self.raw = np.zeros(self.size + 256, np.uint8)
        self.address = -(-self.raw.ctypes.data // 256) * 256


@dataclass
class Gpu:
    """``fail_allocation``: after so many allocations one fails. ``lost``: it has fallen off the bus.

    ``lost_after``: it does so in this run of an engine. ``elsewhere``: bytes that other processes hold.
    """

    total: int = 1 << 30
    capability: tuple[int, int] = (8, 7)
    integrated: bool = True
    fail_allocation: int | None = None
    lost: bool = False
    lost_after: int | None = None
    elsewhere: int = 0
    device_blocks: dict[int, Memory] = field(default_factory=dict)
    host_blocks: dict[int, Memory] = field(default_factory=dict)
    streams: dict[int, list[Operation]] = field(default_factory=dict)
    captures: dict[int, list[Operation] | None] = field(default_factory=dict)
    graphs: dict[int, list[Operation]] = field(default_factory=dict)
    launches: int = 0
    arenas: list[Arena] = field(default_factory=list)
    """Of each run of an engine, in order."""
    busy_arenas: dict[int, Arena] = field(default_factory=dict)
    """By stream, what work on it will use that nobody has waited for."""
    _next: int = 1

    @property
    def held(self) -> int:
        """Allocations, streams and graphs that nobody has freed."""
        return len(self.device_blocks) + len(self.host_blocks) + len(self.streams) + len(self.graphs)

    @property
    def used(self) -> int:
        return self.elsewhere + sum(block.size for block in self.device_blocks.values())

    def check(self) -> None:
        if self.lost:
            raise Fault("cudaErrorIllegalAddress")

    def number(self) -> int:
        self._next += 1
        return self._next

    def allocate(self, size: int, on_device: bool, mapped: bool = False) -> int:
        self.check()
        if self.fail_allocation is not None:
            self.fail_allocation -= 1
            if self.fail_allocation < 0:
                self.fail_allocation = None
                raise Fault("cudaErrorMemoryAllocation")
        if size <= 0:
            raise Fault("cudaErrorInvalidValue")
        if self.used + size > self.total:
            raise Fault("cudaErrorMemoryAllocation")
        memory = Memory(size, mapped)
        (self.device_blocks if on_device else self.host_blocks)[memory.address] = memory
        return memory.address

    def free(self, address: int, on_device: bool) -> None:
        self.check()
        blocks = self.device_blocks if on_device else self.host_blocks
        if blocks.pop(address, None) is None:
            raise Fault("cudaErrorInvalidValue")

    def view(self, address: int, size: int) -> Any:
        """The bytes that a kernel would see there; anything else is an illegal address."""
        visible = [*self.device_blocks.values(), *(b for b in self.host_blocks.values() if b.mapped)]
        return self._view(visible, address, size)

    def host_view(self, address: int, size: int) -> Any:
        return self._view(list(self.host_blocks.values()), address, size)

    def _view(self, blocks: list[Memory], address: int, size: int) -> Any:
        for block in blocks:
            if block.address <= address and address + size <= block.address + block.size:
                return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
        self.lost = True
        raise Fault("cudaErrorIllegalAddress")

    def put(self, stream: int, work: Callable[[], None], arena: Arena | None = None) -> None:
        self.check()
        if stream not in self.streams:
            raise Fault("cudaErrorInvalidResourceHandle")
        captured = self.captures.get(stream)
        if captured is not None:
            captured.append((work, arena))
            return
        if arena is not None:
            self._claim(stream, *arena)
        self.streams[stream].append((work, arena))

    def wait(self, stream: int) -> None:
        if self.captures.get(stream) is not None:
            raise Fault("cudaErrorStreamCaptureUnsupported")
        work, self.streams[stream] = self.streams[stream], []
        for operation, arena in work:
            self.check()
            operation()
            if arena is not None:
                self.arenas.append(arena)
                self.lost |= self.lost_after is not None and len(self.arenas) >= self.lost_after
        self.busy_arenas.pop(stream, None)
        self.check()

    def _claim(self, stream: int, address: int, size: int) -> None:
        for other, (start, length) in self.busy_arenas.items():
            if other != stream and start < address + size and address < start + length:
                raise AssertionError("two streams use one arena at the same time")
        self.busy_arenas[stream] = (address, size)
