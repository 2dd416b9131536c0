"""`tensorrt` on the GPU of `standin.gpu`: the names that edgevoice uses, and ONNX Runtime's arithmetic.

A plan is the ONNX file with what it was built for. Contexts take no memory of their own, need an arena that
is large enough, and spoil it while they run.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import IntEnum
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnxruntime as ort
from standin.gpu import Gpu

from edgevoice.runtime.engines import onnx

MAGIC = b"STANDIN!"
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(float16)": np.float16}
BYTES_A_STEP = 4096


def _session(model: bytes) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.use_per_session_threads = onnx._pool is None  # a process of ours may have one pool for all
    if onnx._pool is None:
        options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model, options, ["CPUExecutionProvider"])


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) else -1 for size in node.shape)


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


class ILogger:
    Severity = Severity

    def __init__(self) -> None:
        pass


class IHostMemory(bytes):
    @property
    def nbytes(self) -> int:
        return len(self)


class _Standin:
    """What every object of a `Tensorrt` knows: the module it is of."""

    def __init__(self, trt: Tensorrt) -> None:
        self._trt = trt


class IOptimizationProfile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[tuple[int, ...], ...]] = {}

    def set_shape(self, input: str, min: Any, opt: Any, max: Any) -> None:
        self.shapes[input] = (tuple(min), tuple(opt), tuple(max))


class ITimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> IHostMemory:
        return IHostMemory(self.content)


class IBuilderConfig(_Standin):
    def __init__(self, trt: Tensorrt) -> None:
        super().__init__(trt)
        self.max_aux_streams = -1
        self.profiling_verbosity = 0
        self.workspace = 1 << 40
        self.profiles: list[IOptimizationProfile] = []
        self._cache: ITimingCache | None = None

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None:
        assert pool is self._trt.MemoryPoolType.WORKSPACE
        self.workspace = pool_size

    def add_optimization_profile(self, profile: IOptimizationProfile) -> int:
        for shapes in profile.shapes.values():
            if any(not low <= best <= high for low, best, high in zip(*shapes, strict=True)):
                return -1
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache: bytes) -> ITimingCache | None:
        return ITimingCache(bytes(serialized_timing_cache))

    def set_timing_cache(self, cache: ITimingCache, ignore_mismatch: bool) -> bool:
        if cache.content and not cache.content.startswith(b"timings") and not ignore_mismatch:
            return False
        self._trt.timing_caches.append(cache.content)
        self._cache = cache
        return True

    def get_timing_cache(self) -> ITimingCache | None:
        return self._cache and ITimingCache(b"timings of the stand-in")


class INetworkDefinition:
    def __init__(self) -> None:
        self.model = b""
        self._inputs: list[Any] = []

    @property
    def num_inputs(self) -> int:
        return len(self._inputs)

    def get_input(self, index: int) -> Any:
        return self._inputs[index]

    def fill(self, model: bytes) -> None:
        self.model = model
        self._inputs = [SimpleNamespace(name=n.name, shape=_shape(n)) for n in _session(model).get_inputs()]


class Builder(_Standin):
    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger.trt)  # type: ignore[attr-defined]
        self._trt.start()
        self.logger = logger

    def create_network(self, flags: int = 0) -> INetworkDefinition:
        strongly = 1 << int(self._trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        assert flags & strongly, "the network is not strongly typed"
        return INetworkDefinition()

    def create_builder_config(self) -> IBuilderConfig:
        return IBuilderConfig(self._trt)

    def create_optimization_profile(self) -> IOptimizationProfile:
        return IOptimizationProfile()

    def build_serialized_network(self, network: INetworkDefinition, config: IBuilderConfig) -> Any:
        self._trt.builds += 1
        if self._trt.build_fault == "dies":
            os._exit(9)
        if self._trt.build_fault:
            self._trt.say(Severity.ERROR, f"[builder.cpp::build::1] {self._trt.build_fault}")
            return None
        if any(-1 in tensor.shape for tensor in network._inputs) and not config.profiles:
            self._trt.say(Severity.ERROR, "no optimization profile has been defined")
            return None
        header = {
            "version": self._trt.__version__,
            "driver": self._trt.driver,
            "capability": list(self._trt.gpu.capability),
            "profiles": [profile.shapes for profile in config.profiles],
        }
        raw = json.dumps(header).encode()
        return IHostMemory(MAGIC + len(raw).to_bytes(8, "little") + raw + network.model)


class OnnxParser(_Standin):
    def __init__(self, network: INetworkDefinition, logger: ILogger) -> None:
        super().__init__(logger.trt)  # type: ignore[attr-defined]
        self._network = network
        self._errors: list[Any] = []

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> Any:
        return self._errors[index]

    def parse_from_file(self, model: str) -> bool:
        with open(model, "rb") as stream:
            raw = stream.read()
        try:
            self._network.fill(raw)
        except Exception as error:  # ONNX Runtime's own classes
            text = str(error)
            self._errors.append(
                SimpleNamespace(
                    desc=lambda: text, node=lambda: 0, node_name=lambda: "", node_operator=lambda: ""
                )
            )
            return False
        return True


class Runtime(_Standin):
    def __init__(self, logger: ILogger) -> None:
        super().__init__(logger.trt)  # type: ignore[attr-defined]
        self._trt.start()

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> Any:
        raw = bytes(serialized_engine)
        size = int.from_bytes(raw[8:16], "little")
        try:
            header = json.loads(raw[16 : 16 + size])
            same = header["version"] == self._trt.__version__ and header["driver"] == self._trt.driver
            if raw[:8] != MAGIC or not same or header["capability"] != list(self._trt.gpu.capability):
                raise ValueError("made elsewhere")
            return ICudaEngine(self._trt, header["profiles"], raw[16 + size :])
        except Exception:
            self._trt.say(Severity.ERROR, "The engine plan file is not compatible with this device")
            return None


class ICudaEngine(_Standin):
    def __init__(self, trt: Tensorrt, profiles: list[Any], model: bytes) -> None:
        super().__init__(trt)
        self.session = _session(model)
        self.profiles = profiles
        self._in = {node.name: node for node in self.session.get_inputs()}
        self._out = {node.name: node for node in self.session.get_outputs()}
        self._nodes = {**self._in, **self._out}

    @property
    def num_io_tensors(self) -> int:
        return len(self._nodes)

    @property
    def device_memory_size_v2(self) -> int:
        steps = [shapes[2][-1] for profile in self.profiles for shapes in profile.values()]
        return BYTES_A_STEP * max(steps, default=1)

    def get_tensor_name(self, index: int) -> str:
        return list(self._nodes)[index]

    def get_tensor_mode(self, name: str) -> Any:
        mode = self._trt.TensorIOMode
        return mode.INPUT if name in self._in else mode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return _shape(self._nodes[name])

    def get_tensor_dtype(self, name: str) -> Any:
        return self._nodes[name].type

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[tuple[int, ...]]:
        return [tuple(shape) for shape in self.profiles[profile_index][name]]

    def create_execution_context(self, strategy: Any) -> Any:
        assert strategy is self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        return IExecutionContext(self._trt, self)


class IExecutionContext(_Standin):
    def __init__(self, trt: Tensorrt, engine: ICudaEngine) -> None:
        super().__init__(trt)
        self._engine = engine
        self._profile = 0
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        self._arena = (0, 0)
        self._changes = 0
        for name in engine._in:
            if -1 not in engine.get_tensor_shape(name):
                self._shapes[name] = engine.get_tensor_shape(name)

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if not 0 <= profile_index < len(self._engine.profiles):
            return False
        self._profile = profile_index
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
        if len(shape) != len(low) or any(not a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
            self._trt.say(Severity.ERROR, f"{name}: {tuple(shape)} is outside profile {self._profile}")
            return False
        self._changes += self._shapes.get(name) != tuple(shape)
        self._shapes[name] = tuple(shape)
        return True

    def infer_shapes(self) -> list[str]:
        return [name for name in self._engine._in if name not in self._shapes]

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name in self._shapes:
            return self._shapes[name]
        zeros = {n: np.zeros(self._shapes[n], TYPES[self._engine._in[n].type]) for n in self._engine._in}
        (out,) = self._engine.session.run([name], zeros)
        return tuple(out.shape)

    def set_tensor_address(self, name: str, memory: int) -> bool:
        assert memory % 256 == 0, "TensorRT asks for aligned addresses"
        self._addresses[name] = memory
        return True

    def set_device_memory(self, memory: int, size: int) -> None:
        assert memory % 256 == 0
        assert size >= self._engine.device_memory_size_v2, "the arena is smaller than the engine needs"
        self._arena = (memory, size)

    def execute_async_v3(self, stream_handle: int) -> bool:
        gpu = self._trt.gpu
        if gpu.lost or self._trt.run_fault:
            self._trt.say(Severity.ERROR, self._trt.run_fault or "Cuda Runtime (an illegal memory access)")
            return False
        assert self._arena[0], "a context of a user's memory was given none"
        shapes, addresses, arena = dict(self._shapes), dict(self._addresses), self._arena
        changes = self._changes
        outputs = {name: self.get_tensor_shape(name) for name in self._engine._out}

        def work() -> None:
            assert changes == self._changes, "a graph's context was changed after the graph was made"
            gpu.view(*arena)[:] = 0xA5
            feeds = {name: self._at(name, addresses[name], shapes[name]).copy() for name in shapes}
            results = self._engine.session.run(list(outputs), feeds)
            for name, value in zip(outputs, results, strict=True):
                self._at(name, addresses[name], outputs[name])[...] = value

        gpu.put(stream_handle, work, arena)
        return True

    def _at(self, name: str, address: int, shape: tuple[int, ...]) -> Any:
        dtype = np.dtype(TYPES[self._engine._nodes[name].type])
        size = int(np.prod(shape)) * dtype.itemsize
        return self._trt.gpu.view(address, size).view(dtype).reshape(shape)


@dataclass(frozen=True)
class NetworkFlags:
    """Their numbers differ between the releases."""

    STRONGLY_TYPED: int


class TensorIOMode:
    NONE: ClassVar[object] = object()
    INPUT: ClassVar[object] = object()
    OUTPUT: ClassVar[object] = object()


class MemoryPoolType:
    WORKSPACE: ClassVar[object] = object()


class ProfilingVerbosity:
    DETAILED: ClassVar[object] = object()


class ExecutionContextAllocationStrategy:
    STATIC: ClassVar[object] = object()
    USER_MANAGED: ClassVar[object] = object()


class Tensorrt:
    """The module. ``start_fault``, ``build_fault``, ``run_fault``: what the next start, builds or runs fail
    with; a build that "dies" takes its process with it. ``driver``: plans of another do not load."""

    __name__ = "tensorrt"
    Builder, OnnxParser, Runtime = Builder, OnnxParser, Runtime
    TensorIOMode, MemoryPoolType, ProfilingVerbosity = TensorIOMode, MemoryPoolType, ProfilingVerbosity
    ExecutionContextAllocationStrategy = ExecutionContextAllocationStrategy

    def __init__(self, gpu: Gpu, version: str = "10.3.0") -> None:
        self.gpu, self.__version__ = gpu, version
        flag = 0 if version.startswith("11.") else 1
        self.NetworkDefinitionCreationFlag = NetworkFlags(flag)
        self.builds, self.build_fault, self.run_fault = 0, "", ""
        self.start_fault, self.driver = "", "560"
        self.timing_caches: list[bytes] = []
        self._loggers: list[Any] = []
        module = self

        class Logger(ILogger):
            trt = module

            def __init__(self) -> None:
                module._loggers.append(self)
                assert len(module._loggers) == 1, "TensorRT ignores a second logger"

        self.ILogger = Logger

    def start(self) -> None:
        """What a builder and a runtime do first; where that fails, their binding raises what it raises."""
        if self.start_fault:
            self.say(Severity.INTERNAL_ERROR, self.start_fault)
            raise TypeError("pybind11::init(): factory function returned nullptr")

    @staticmethod
    def nptype(trt_type: Any) -> Any:
        return TYPES[trt_type]

    def say(self, severity: Severity, text: str) -> None:
        for logger in self._loggers:
            logger.log(severity, text)
