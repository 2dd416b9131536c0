"""CUDA by cuda-python: `cuda.bindings.runtime`, or `cuda.cudart` as it was called up to release 12."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from edgevoice.runtime.engines.cuda import Cuda, CudaError, Device, Host, OldDriver, Stream

MODULES = ("cuda.bindings.runtime", "cuda.cudart")

OLD_DRIVER = frozenset({"cudaErrorInsufficientDriver"})
NO_MEMORY = frozenset({"cudaErrorMemoryAllocation"})
LOST = frozenset(
    {
        "cudaErrorAssert",
        "cudaErrorContained",
        "cudaErrorDevicesUnavailable",
        "cudaErrorECCUncorrectable",
        "cudaErrorHardwareStackError",
        "cudaErrorIllegalAddress",
        "cudaErrorIllegalInstruction",
        "cudaErrorInvalidAddressSpace",
        "cudaErrorInvalidPc",
        "cudaErrorLaunchFailure",
        "cudaErrorLaunchTimeout",
        "cudaErrorMisalignedAddress",
        "cudaErrorNoDevice",
        "cudaErrorSystemNotReady",
        "cudaErrorUnknown",
    }
)
"""After these every further call in this process fails."""


def load() -> Cuda | None:
    """None where cuda-python is not installed."""
    for name in MODULES:
        try:
            return CudaPython(importlib.import_module(name))
        except ImportError:
            continue
    return None


class CudaPython:
    """`Cuda` by the runtime's own functions; each answers with an error code first."""

    name = "cuda-python"

    def __init__(self, runtime: Any) -> None:
        self._rt = runtime

    def device(self) -> Device:
        attributes = self._rt.cudaDeviceAttr
        major = self._attribute(attributes.cudaDevAttrComputeCapabilityMajor)
        minor = self._attribute(attributes.cudaDevAttrComputeCapabilityMinor)
        version = int(self._call("cudaRuntimeGetVersion"))
        name = self._call("cudaGetDeviceProperties", 0).name
        return Device(
            name.decode(errors="replace") if isinstance(name, bytes) else str(name),
            f"{major}.{minor}",
            bool(self._attribute(attributes.cudaDevAttrIntegrated)),
            f"{version // 1000}.{version % 1000 // 10}",
        )

    def memory(self) -> tuple[int, int]:
        free, total = self._call("cudaMemGetInfo")
        return int(free), int(total)

    def malloc(self, size: int) -> int:
        return int(self._call("cudaMalloc", size))

    def free(self, pointer: int) -> None:
        self._call("cudaFree", pointer)

    def malloc_host(self, size: int, mapped: bool) -> Host:
        pointer = int(self._call("cudaHostAlloc", size, self._rt.cudaHostAllocMapped if mapped else 0))
        try:
            device = int(self._call("cudaHostGetDevicePointer", pointer, 0)) if mapped else 0
        except CudaError:
            self._call("cudaFreeHost", pointer)
            raise
        return Host(pointer, size, device, pointer)

    def free_host(self, host: Host) -> None:
        self._call("cudaFreeHost", host.pointer)

    def upload(self, device: int, host: int, size: int, stream: Stream) -> None:
        kind = self._rt.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host, size, kind, stream.raw)

    def download(self, host: int, device: int, size: int, stream: Stream) -> None:
        kind = self._rt.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host, device, size, kind, stream.raw)

    def stream(self) -> Stream:
        # Non-blocking, for the default stream cannot be captured.
        raw = self._call("cudaStreamCreateWithFlags", self._rt.cudaStreamNonBlocking)
        return Stream(int(raw), raw)

    def free_stream(self, stream: Stream) -> None:
        self._call("cudaStreamDestroy", stream.raw)

    def synchronize(self, stream: Stream) -> None:
        self._call("cudaStreamSynchronize", stream.raw)

    def capture(self, stream: Stream, work: Callable[[], None]) -> Any:
        # Thread-local: what another thread does to the device meanwhile does not break it.
        mode = self._rt.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", stream.raw, mode)
        try:
            work()
        except BaseException:
            self._end_broken_capture(stream)
            raise
        graph = self._call("cudaStreamEndCapture", stream.raw)
        try:
            return self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)

    def launch(self, graph: Any, stream: Stream) -> None:
        self._call("cudaGraphLaunch", graph, stream.raw)

    def free_graph(self, graph: Any) -> None:
        self._call("cudaGraphExecDestroy", graph)

    def _end_broken_capture(self, stream: Stream) -> None:
        status, *graph = self._rt.cudaStreamEndCapture(stream.raw)
        if not int(status) and graph and graph[0] is not None:
            self._rt.cudaGraphDestroy(graph[0])

    def _attribute(self, attribute: Any) -> int:
        return int(self._call("cudaDeviceGetAttribute", attribute, 0))

    def _call(self, name: str, *arguments: Any) -> Any:
        """What the function answers beside its error code: nothing, one value, or several."""
        status, *values = getattr(self._rt, name)(*arguments)
        if int(status):
            raise self._error(name, status)
        return values[0] if len(values) == 1 else values

    def _error(self, name: str, status: Any) -> CudaError:
        code = str(getattr(status, "name", status))
        _, text = self._rt.cudaGetErrorString(status)
        words = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        kind = OldDriver if code in OLD_DRIVER else CudaError
        return kind(f"CUDA: {name} failed: {words} ({code})", code in NO_MEMORY, code in LOST)
