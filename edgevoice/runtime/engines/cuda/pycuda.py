"""CUDA by PyCUDA, which is built on the board: the same few calls by the driver's interface."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from edgevoice.runtime.engines.cuda import Cuda, CudaError, Device, Host, Stream

LOST = ("illegal address", "launch failed", "launch failure", "misaligned", "unspecified", "unknown error")

Value = TypeVar("Value")


def load() -> Cuda | None:
    """None where PyCUDA is not installed."""
    try:
        driver = importlib.import_module("pycuda.driver")
    except ImportError:
        return None
    return PyCuda(driver)


class PyCuda:
    """`Cuda` by `pycuda.driver`, on the device's primary context, which TensorRT uses too.

    It has no CUDA graphs: they are a gain in launch time, nothing more.
    """

    name = "PyCUDA"

    def __init__(self, driver: Any) -> None:
        self._drv = driver
        self._try("cuInit", driver.init)
        self._device = self._try("cuDeviceGet", lambda: driver.Device(0))
        self._context = self._try("cuDevicePrimaryCtxRetain", self._device.retain_primary_context)
        self._kept: dict[int, Any] = {}

    def device(self) -> Device:
        major, minor = self._device.compute_capability()
        integrated = self._device.get_attribute(self._drv.device_attribute.INTEGRATED)
        version = self._drv.get_driver_version()
        cuda = f"{version // 1000}.{version % 1000 // 10}"
        return Device(self._device.name(), f"{major}.{minor}", bool(integrated), cuda)

    def memory(self) -> tuple[int, int]:
        free, total = self._in_context("cuMemGetInfo", self._drv.mem_get_info)
        return int(free), int(total)

    def malloc(self, size: int) -> int:
        block = self._in_context("cuMemAlloc", lambda: self._drv.mem_alloc(size))
        self._kept[int(block)] = block
        return int(block)

    def free(self, pointer: int) -> None:
        self._in_context("cuMemFree", self._kept.pop(pointer).free)

    def malloc_host(self, size: int, mapped: bool) -> Host:
        flags = self._drv.host_alloc_flags.DEVICEMAP if mapped else 0

        def allocate() -> Any:
            return self._drv.pagelocked_empty(size, np.uint8, mem_flags=flags)

        array = self._in_context("cuMemHostAlloc", allocate)
        device = self._in_context("cuMemHostGetDevicePointer", array.base.get_device_pointer) if mapped else 0
        return Host(int(array.ctypes.data), size, int(device), array)

    def free_host(self, host: Host) -> None:
        self._in_context("cuMemFreeHost", host.raw.base.free)

    def upload(self, device: int, host: int, size: int, stream: Stream) -> None:
        source = _view(host, size)
        self._in_context("cuMemcpyHtoDAsync", lambda: self._drv.memcpy_htod_async(device, source, stream.raw))

    def download(self, host: int, device: int, size: int, stream: Stream) -> None:
        target = _view(host, size)
        self._in_context("cuMemcpyDtoHAsync", lambda: self._drv.memcpy_dtoh_async(target, device, stream.raw))

    def stream(self) -> Stream:
        raw = self._in_context("cuStreamCreate", self._drv.Stream)
        return Stream(int(raw.handle), raw)

    def free_stream(self, stream: Stream) -> None:
        """PyCUDA does when nothing refers to it."""

    def synchronize(self, stream: Stream) -> None:
        self._in_context("cuStreamSynchronize", stream.raw.synchronize)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Any:
        return None

    def launch(self, graph: Any, stream: Stream) -> None:
        raise CudaError("PyCUDA has no graphs: install cuda-python")

    def free_graph(self, graph: Any) -> None:
        pass

    def _in_context(self, name: str, call: Callable[[], Value]) -> Value:
        """A context belongs to a thread; a voice may serve several."""
        self._try("cuCtxPushCurrent", self._context.push)
        try:
            return self._try(name, call)
        finally:
            self._drv.Context.pop()

    def _try(self, name: str, call: Callable[[], Value]) -> Value:
        try:
            return call()
        except self._drv.MemoryError as error:
            raise CudaError(f"CUDA: {name} failed: {_words(error)}", memory=True) from None
        except self._drv.Error as error:
            words = _words(error)
            lost = any(text in words.lower() for text in LOST)
            raise CudaError(f"CUDA: {name} failed: {words}", lost=lost) from None


def _view(pointer: int, size: int) -> Any:
    return Host(pointer, size, 0, None).array


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
