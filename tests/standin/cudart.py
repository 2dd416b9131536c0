"""`cuda.bindings.runtime` on the GPU of `standin.gpu`: the functions that edgevoice calls, with their names.

A test holds the parameters against cuda-python's own.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from standin.gpu import Fault, Gpu


class cudaError_t(IntEnum):
    cudaSuccess = 0
    cudaErrorInvalidValue = 1
    cudaErrorMemoryAllocation = 2
    cudaErrorInsufficientDriver = 35
    cudaErrorInvalidResourceHandle = 400
    cudaErrorIllegalAddress = 700
    cudaErrorStreamCaptureUnsupported = 900


class cudaDeviceAttr(IntEnum):
    cudaDevAttrIntegrated = 18
    cudaDevAttrComputeCapabilityMajor = 75
    cudaDevAttrComputeCapabilityMinor = 76


class cudaMemcpyKind(IntEnum):
    cudaMemcpyHostToDevice = 1
    cudaMemcpyDeviceToHost = 2


class cudaStreamCaptureMode(IntEnum):
    cudaStreamCaptureModeThreadLocal = 1


class _Properties:
    name = b"stand-in GPU"


class _Number(int):
    """A handle, which the real binding wraps in an object."""


class Cudart:
    """The module. Functions answer with an error code and values, and raise nothing."""

    cudaError_t, cudaDeviceAttr = cudaError_t, cudaDeviceAttr
    cudaMemcpyKind, cudaStreamCaptureMode = cudaMemcpyKind, cudaStreamCaptureMode
    cudaHostAllocMapped, cudaStreamNonBlocking = 2, 1

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu

    def _answer(self, work: Callable[[], Any]) -> tuple[Any, ...]:
        try:
            value = work()
        except Fault as fault:
            return cudaError_t[str(fault)], None
        return (cudaError_t.cudaSuccess,) if value is None else (cudaError_t.cudaSuccess, value)

    def cudaGetErrorString(self, error: Any) -> Any:
        return cudaError_t.cudaSuccess, cudaError_t(error).name.removeprefix("cudaError").encode()

    def cudaRuntimeGetVersion(self) -> Any:
        return cudaError_t.cudaSuccess, 12060

    def cudaGetDeviceProperties(self, device: int) -> Any:
        return cudaError_t.cudaSuccess, _Properties()

    def cudaDeviceGetAttribute(self, attr: Any, device: int) -> Any:
        major, minor = self._gpu.capability
        values = {18: int(self._gpu.integrated), 75: major, 76: minor}
        return cudaError_t.cudaSuccess, values[int(attr)]

    def cudaMemGetInfo(self) -> Any:
        if self._gpu.lost:
            return cudaError_t.cudaErrorIllegalAddress, None, None
        return cudaError_t.cudaSuccess, self._gpu.total - self._gpu.used, self._gpu.total

    def cudaMalloc(self, size: int) -> Any:
        return self._answer(lambda: self._gpu.allocate(size, on_device=True))

    def cudaFree(self, devPtr: int) -> Any:
        return self._answer(lambda: self._gpu.free(devPtr, on_device=True))

    def cudaHostAlloc(self, size: int, flags: int) -> Any:
        return self._answer(lambda: self._gpu.allocate(size, on_device=False, mapped=bool(flags & 2)))

    def cudaFreeHost(self, ptr: int) -> Any:
        return self._answer(lambda: self._gpu.free(ptr, on_device=False))

    def cudaHostGetDevicePointer(self, pHost: int, flags: int) -> Any:
        def look() -> int:
            self._gpu.check()
            return pHost if self._gpu.host_blocks[pHost].mapped else self._fault("cudaErrorInvalidValue")

        return self._answer(look)

    def _fault(self, name: str) -> int:
        raise Fault(name)

    def cudaMemcpyAsync(self, dst: int, src: int, count: int, kind: Any, stream: Any) -> Any:
        gpu = self._gpu

        def copy() -> None:
            if kind == cudaMemcpyKind.cudaMemcpyHostToDevice:
                gpu.view(dst, count)[:] = gpu.host_view(src, count)
            else:
                gpu.host_view(dst, count)[:] = gpu.view(src, count)

        return self._answer(lambda: gpu.put(int(stream), copy))

    def cudaStreamCreateWithFlags(self, flags: int) -> Any:
        def make() -> int:
            self._gpu.check()
            number = _Number(self._gpu.number())
            self._gpu.streams[number] = []
            return number

        return self._answer(make)

    def cudaStreamSynchronize(self, stream: Any) -> Any:
        return self._answer(lambda: self._gpu.wait(int(stream)))

    def cudaStreamDestroy(self, stream: Any) -> Any:
        def destroy() -> None:
            self._gpu.check()
            del self._gpu.streams[int(stream)]

        return self._answer(destroy)

    def cudaStreamBeginCapture(self, stream: Any, mode: Any) -> Any:
        def begin() -> None:
            self._gpu.check()
            self._gpu.captures[int(stream)] = []

        return self._answer(begin)

    def cudaStreamEndCapture(self, stream: Any) -> Any:
        return self._answer(lambda: list(self._gpu.captures.pop(int(stream)) or []))

    def cudaGraphInstantiate(self, graph: Any, flags: int) -> Any:
        def make() -> int:
            number = _Number(self._gpu.number())
            self._gpu.graphs[number] = graph
            return number

        return self._answer(make)

    def cudaGraphDestroy(self, graph: Any) -> Any:
        return (cudaError_t.cudaSuccess,)

    def cudaGraphLaunch(self, graphExec: Any, stream: Any) -> Any:
        def launch() -> None:
            self._gpu.launches += 1
            for work, arena in self._gpu.graphs[int(graphExec)]:
                self._gpu.put(int(stream), work, arena)

        return self._answer(launch)

    def cudaGraphExecDestroy(self, graphExec: Any) -> Any:
        def destroy() -> None:
            self._gpu.check()
            del self._gpu.graphs[int(graphExec)]

        return self._answer(destroy)
