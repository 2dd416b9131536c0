"""The CUDA layer: what it says of a machine, and the bindings' few calls."""

from __future__ import annotations

import ctypes
import inspect
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from standin.cudart import Cudart
from standin.gpu import Gpu, Memory

from edgevoice.runtime.engines import cuda
from edgevoice.runtime.engines.cuda import CudaError, pycuda
from edgevoice.runtime.engines.cuda import python as cuda_python
from edgevoice.runtime.engines.cuda.pycuda import PyCuda
from edgevoice.runtime.engines.cuda.python import CudaPython


def driver(start: int = 0, devices: int = 1) -> Any:
    def count(pointer: Any) -> int:
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = devices
        return 0

    return lambda name: SimpleNamespace(cuInit=lambda flags: start, cuDeviceGetCount=count)


def absent(name: str) -> Any:
    raise OSError(name)


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        (absent, "no NVIDIA driver"),
        (driver(100), "finds no GPU"),
        (driver(999), "does not start"),
        (driver(devices=0), "finds no GPU"),
        (driver(), "^$"),
    ],
)
def test_the_probe_says_why_there_is_no_gpu(library: Any, reason: str) -> None:
    assert re.search(reason, cuda.probe(library))


class _Newer(Cudart):
    """A runtime that is newer than the driver: no call but the text of the error answers."""

    def cudaDeviceGetAttribute(self, attr: Any, device: int) -> Any:
        return self.cudaError_t.cudaErrorInsufficientDriver, None


@pytest.mark.parametrize("other", [True, False])
def test_a_binding_that_is_too_new_for_the_driver_gives_way_or_says_which_fits(
    other: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JetPack 6 has a driver of CUDA 12.6, and `pip install cuda-python` brings 13."""
    monkeypatch.setattr(cuda_python, "load", lambda: CudaPython(_Newer(Gpu())))
    monkeypatch.setattr(pycuda, "load", lambda: PyCuda(_Pycuda()) if other else None)
    monkeypatch.setattr(cuda, "driver_cuda", lambda: (12, 6))
    if other:
        assert cuda.load().name == "PyCUDA"
        return
    with pytest.raises(
        CudaError, match=r"cuda-python needs a newer .* 12\.6: `pip install 'cuda-python<12\.7'`"
    ):
        cuda.load()


def test_the_first_binding_is_taken_and_without_one_it_is_said_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gpu = Gpu()
    monkeypatch.setattr(cuda_python, "load", lambda: CudaPython(Cudart(gpu)))
    assert cuda.load().name == "cuda-python"
    monkeypatch.setattr(cuda_python, "load", lambda: None)
    monkeypatch.setattr(pycuda, "load", lambda: None)
    with pytest.raises(CudaError, match="no way to it from Python: `pip install cuda-python`"):
        cuda.load()


def test_the_driver_s_own_number() -> None:
    def ask(pointer: Any) -> int:
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = 12060
        return 0

    assert cuda.driver_cuda(lambda name: SimpleNamespace(cuDriverGetVersion=ask)) == (12, 6)
    with pytest.raises(CudaError, match="no NVIDIA driver"):
        cuda.driver_cuda(absent)


def test_the_stand_in_has_cuda_s_own_parameters() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
    functions = [name for name in vars(Cudart) if name.startswith("cuda") and callable(getattr(Cudart, name))]
    functions = [name for name in functions if inspect.isfunction(getattr(Cudart, name))]
    assert len(functions) > 15
    for name in functions:
        first = (getattr(runtime, name).__doc__ or "").splitlines()[0]
        real = [
            part.split(":")[0].split()[-1] for part in first.split("(", 1)[1].rstrip(")").split(",") if part
        ]
        ours = [p for p in inspect.signature(getattr(Cudart, name)).parameters if p != "self"]
        assert ours == real, name
    for enum in ("cudaError_t", "cudaDeviceAttr", "cudaMemcpyKind", "cudaStreamCaptureMode"):
        for member in getattr(Cudart, enum):
            assert int(getattr(getattr(runtime, enum), member.name)) == int(member)
    for code in cuda_python.LOST | cuda_python.NO_MEMORY:
        assert hasattr(runtime.cudaError_t, code), code


def test_cuda_python_without_a_driver_is_one_line() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-python is not installed")
    if not cuda.probe():
        pytest.skip("there is a GPU here")
    with pytest.raises(CudaError, match="cudaMalloc failed: CUDA driver version is insufficient"):
        CudaPython(runtime).malloc(64)


def test_copies_happen_when_the_stream_is_waited_for() -> None:
    gpu = Gpu(integrated=False)
    device = CudaPython(Cudart(gpu))
    stream, host, memory = device.stream(), device.malloc_host(64, mapped=False), device.malloc(64)
    host.array[:] = np.arange(64)
    device.upload(memory, host.pointer, 64, stream)
    device.synchronize(stream)
    host.array[:] = 0
    device.download(host.pointer, memory, 64, stream)
    assert not host.array.any()
    device.synchronize(stream)
    assert list(host.array[:3]) == [0, 1, 2]
    device.free(memory)
    device.free_host(host)
    device.free_stream(stream)
    assert gpu.held == 0
    assert device.device() == cuda.Device("stand-in GPU", "8.7", False, "12.6")
    assert device.memory() == (gpu.total, gpu.total)


def test_a_capture_runs_nothing_and_a_broken_one_leaves_the_stream_usable() -> None:
    gpu = Gpu()
    device = CudaPython(Cudart(gpu))
    stream, host, memory = device.stream(), device.malloc_host(8, mapped=True), device.malloc(8)
    graph = device.capture(stream, lambda: device.upload(memory, host.pointer, 8, stream))
    host.array[:] = 7
    assert not gpu.view(memory, 8).any()
    device.launch(graph, stream)
    device.synchronize(stream)
    assert (gpu.view(memory, 8) == 7).all()

    def broken() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        device.capture(stream, broken)
    device.synchronize(stream)


def test_an_illegal_address_loses_the_device() -> None:
    device = CudaPython(Cudart(Gpu()))
    stream, host = device.stream(), device.malloc_host(8, mapped=True)
    device.upload(4096, host.pointer, 8, stream)
    with pytest.raises(CudaError) as caught:
        device.synchronize(stream)
    assert caught.value.lost


class _PycudaError(Exception):
    pass


class _PycudaMemoryError(_PycudaError):
    pass


class _Pycuda:
    """`pycuda.driver` as far as it is used, on host memory."""

    Error, MemoryError = _PycudaError, _PycudaMemoryError
    host_alloc_flags = SimpleNamespace(DEVICEMAP=2)
    device_attribute = SimpleNamespace(INTEGRATED=18)

    def __init__(self) -> None:
        self.depth = self.freed = 0
        self.Context = SimpleNamespace(pop=self._pop)

    def init(self) -> None: ...

    def _pop(self) -> None:
        self.depth -= 1

    def _push(self) -> None:
        self.depth += 1

    def Device(self, number: int) -> Any:
        return SimpleNamespace(
            retain_primary_context=lambda: SimpleNamespace(push=self._push),
            compute_capability=lambda: (8, 7),
            get_attribute=lambda attribute: 1,
            name=lambda: "Orin",
        )

    def get_driver_version(self) -> int:
        return 12060

    def mem_get_info(self) -> tuple[int, int]:
        return 1, 2

    def mem_alloc(self, size: int) -> Any:
        assert self.depth == 1, "no context is current"
        if size > 1000:
            raise _PycudaMemoryError("cuMemAlloc failed: out of memory")
        memory, owner = Memory(size), self

        class Allocation:
            def __int__(self) -> int:
                return memory.address

            def free(self) -> None:
                owner.freed += 1

        return Allocation()

    def Stream(self) -> Any:
        def wait() -> None:
            raise _PycudaError("cuStreamSynchronize failed: an illegal memory access; illegal address")

        return SimpleNamespace(handle=5, synchronize=wait)


def test_pycuda_s_calls_are_made_in_its_context_and_its_faults_are_ours() -> None:
    driver = _Pycuda()
    device = PyCuda(driver)
    assert device.device() == cuda.Device("Orin", "8.7", True, "12.6")
    assert device.memory() == (1, 2)
    device.free(device.malloc(10))
    assert driver.freed == 1
    with pytest.raises(CudaError) as full:
        device.malloc(5000)
    with pytest.raises(CudaError) as broken:
        device.synchronize(device.stream())
    assert (full.value.memory, full.value.lost, broken.value.lost) == (True, False, True)
    assert driver.depth == 0
    assert device.capture(device.stream(), lambda: None) is None
