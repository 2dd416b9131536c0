"""The few calls of CUDA that engines need, and whether this machine has a GPU to make them to.

Pointers and sizes are whole numbers. `probe` comes first: it loads only the driver. `load` then takes
cuda-python, which has wheels for every board and needs no compiler there, or PyCUDA.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgevoice.errors import EdgevoiceError

Bytes = npt.NDArray[np.uint8]

DRIVER = "libcuda.so.1"
NO_DRIVER = "no NVIDIA driver is installed (there is no libcuda)"
NO_DEVICE = 100


class CudaError(EdgevoiceError):
    """``memory``: there was not enough; ``lost``: this process can no longer use the device."""

    def __init__(self, message: str, memory: bool = False, lost: bool = False) -> None:
        super().__init__(message)
        self.memory, self.lost = memory, lost
        self.passing = memory or lost


class OldDriver(CudaError):
    """The binding is of a newer CUDA than the driver is."""


@dataclass(frozen=True)
class Device:
    """``integrated``: it shares the host's memory, as on a Jetson. ``cuda``: the runtime's version."""

    name: str
    capability: str
    integrated: bool
    cuda: str


@dataclass(frozen=True)
class Stream:
    """``handle`` is what TensorRT takes; ``raw`` is the binding's own object."""

    handle: int
    raw: Any


@dataclass(frozen=True)
class Host:
    """Page-locked memory of the host; ``device`` is the device's address of it where it is mapped, else 0."""

    pointer: int
    size: int
    device: int
    raw: Any

    @property
    def array(self) -> Bytes:
        """Its bytes, without a copy; not to be used after `Cuda.free_host`."""
        return np.ctypeslib.as_array((ctypes.c_uint8 * self.size).from_address(self.pointer))


class Cuda(Protocol):
    """One device. Every call raises `CudaError` if it fails; work on a stream may fail at a later call."""

    name: str

    def device(self) -> Device: ...

    def memory(self) -> tuple[int, int]:
        """Bytes free, bytes in all."""
        ...

    def malloc(self, size: int) -> int: ...

    def free(self, pointer: int) -> None: ...

    def malloc_host(self, size: int, mapped: bool) -> Host: ...

    def free_host(self, host: Host) -> None: ...

    def upload(self, device: int, host: int, size: int, stream: Stream) -> None: ...

    def download(self, host: int, device: int, size: int, stream: Stream) -> None: ...

    def stream(self) -> Stream: ...

    def free_stream(self, stream: Stream) -> None: ...

    def synchronize(self, stream: Stream) -> None: ...

    def capture(self, stream: Stream, work: Callable[[], None]) -> Any:
        """What ``work`` puts on the stream, as a graph for `launch`; nothing of it runs yet.

        None where the binding has no graphs.
        """
        ...

    def launch(self, graph: Any, stream: Stream) -> None: ...

    def free_graph(self, graph: Any) -> None: ...


def probe(library: Callable[[str], Any] = ctypes.CDLL) -> str:
    """Why no GPU can be used here; empty where there is one. Loads the driver and nothing else.

    TensorRT must not be touched before: without a driver its `Runtime` is made of nothing, and the next call
    to it ends the process.
    """
    try:
        driver = library(DRIVER)
    except OSError:
        return NO_DRIVER
    status = int(driver.cuInit(0))
    if status == NO_DEVICE:
        return "the NVIDIA driver finds no GPU"
    if status:
        return f"the NVIDIA driver does not start (cuInit answers {status}): see `nvidia-smi` or `dmesg`"
    count = ctypes.c_int(0)
    if driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return "the NVIDIA driver finds no GPU"
    return ""


def driver_cuda(library: Callable[[str], Any] = ctypes.CDLL) -> tuple[int, int]:
    """The newest CUDA that the driver can serve, (12, 6) for JetPack 6.1. Raises `CudaError` without one."""
    version = ctypes.c_int(0)
    try:
        library(DRIVER).cuDriverGetVersion(ctypes.byref(version))
    except OSError:
        raise CudaError(NO_DRIVER) from None
    return version.value // 1000, version.value % 1000 // 10


def load() -> Cuda:
    """The first binding that the driver serves; raises `CudaError` where none is, with what to install."""
    from edgevoice.runtime.engines.cuda import pycuda, python

    too_new = ""
    for binding in (python.load, pycuda.load):
        found = binding()
        if found is None:
            continue
        try:
            found.device()
        except OldDriver:
            too_new = too_new or found.name
            continue
        return found
    if too_new:
        major, minor = driver_cuda()
        raise CudaError(
            f"the installed {too_new} needs a newer driver than this one, of CUDA {major}.{minor}: "
            f"`pip install 'cuda-python<{major}.{minor + 1}'`"
        )
    raise CudaError("there is a GPU but no way to it from Python: `pip install cuda-python` (or pycuda)")
