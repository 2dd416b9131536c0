"""Stages that run as TensorRT plans: on one stream, with one arena, their frequent lengths as CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgevoice.errors import EdgevoiceError, Passing
from edgevoice.runtime.engines import Array
from edgevoice.runtime.engines.cuda import Cuda, CudaError
from edgevoice.runtime.engines.tensorrt import library
from edgevoice.runtime.engines.tensorrt.interface import Context, PlanRuntime, Shape, shape_of
from edgevoice.runtime.engines.tensorrt.library import Module
from edgevoice.runtime.engines.tensorrt.memory import Shared, aligned
from edgevoice.runtime.engines.tensorrt.shapes import Lengths

Float = npt.NDArray[np.float32]


class Stale(Passing):
    """A whole plan that no longer loads, as after a change of driver; built anew it may. ``stage``: whose."""

    def __init__(self, message: str, stage: str) -> None:
        super().__init__(message)
        self.stage = stage


@dataclass(frozen=True)
class Plan:
    """A serialized engine, and the lengths that it was built for."""

    data: bytes
    lengths: Lengths


@dataclass(frozen=True)
class _Slot:
    """Where a tensor lies in the block; ``shape`` is the largest it takes, ``timed`` if its last axis may be
    shorter."""

    name: str
    offset: int
    shape: Shape
    dtype: np.dtype[Any]
    timed: bool

    def at(self, length: int) -> Shape:
        return (*self.shape[:-1], length) if self.timed else self.shape


@dataclass
class _Lane:
    """A context; with a fixed ``length`` also a graph, for which nothing of the context may change again."""

    context: Context
    outputs: list[tuple[_Slot, Shape]]
    graph: Any = None


def load(trt: Module, cuda: Cuda, plans: Mapping[str, Plan]) -> dict[str, TensorRtEngine]:
    """Engines by stage, which share their memory. Each is run once at its fixed lengths.

    The driver has been probed (`cuda.probe`). Raises `EdgevoiceError` with everything freed.
    """
    shared = Shared(cuda)
    try:
        runtime = _runtime(trt)
        engines = {stage: TensorRtEngine(trt, runtime, stage, plan, shared) for stage, plan in plans.items()}
        arena = max(engine.arena_bytes for engine in engines.values())
        shared.reserve(arena, max(engine.block_bytes for engine in engines.values()))
        for engine in engines.values():
            engine.bind()
    except BaseException:
        shared.close()
        raise
    return engines


def _runtime(trt: Module) -> PlanRuntime:
    with library.recorded() as record:
        runtime = library.made(trt.Runtime, library.logger(trt))
        if runtime is None:
            raise _refusal("does not start", record)
    return runtime


class TensorRtEngine:
    """One stage. ``arena_bytes``: its own need of the shared arena; ``graphs``: how many lengths it keeps as
    graphs."""

    def __init__(self, trt: Module, runtime: PlanRuntime, stage: str, plan: Plan, shared: Shared) -> None:
        self._trt, self._stage, self._lengths, self.shared = trt, stage, plan.lengths, shared
        self._runtime = runtime  # it must outlive what it made
        with library.recorded() as record:
            trt_engine = runtime.deserialize_cuda_engine(plan.data)
            if trt_engine is None:
                refusal = _refusal(f"does not load the {stage}'s engine", record)
                raise refusal if refusal.memory else Stale(str(refusal), stage)
        self._trt_engine = trt_engine
        self.arena_bytes = int(self._trt_engine.device_memory_size_v2)
        self._free = self._lane(len(plan.lengths.profiles) - 1)
        self._inputs, self._outputs = self._slots()
        self.inputs = tuple(slot.name for slot in self._inputs)
        last = (self._inputs + self._outputs)[-1]
        self.block_bytes = last.offset + _bytes(last.shape, last.dtype)
        self._fixed: dict[int, _Lane] = {}

    @property
    def graphs(self) -> int:
        return sum(lane.graph is not None for lane in self._fixed.values())

    def bind(self) -> None:
        """Give the contexts their memory, run each once, and make the graphs."""
        with self.shared.lock:
            self._give_memory(self._free)
            for profile, length in self._lengths.fixed:
                lane = self._lane(profile)
                self._give_memory(lane)
                self._shape(lane, length)
                self._fixed[length] = lane
                self._warm(lane, length)

    def run(self, feeds: Mapping[str, Array]) -> list[Float]:
        length = self._length(feeds)
        with self.shared.lock, library.recorded() as record:
            lane = self._fixed.get(length)
            if lane is None:
                lane = self._free
                self._shape(lane, length)
            self._write(feeds, length)
            try:
                if lane.graph is not None:
                    self.shared.cuda.launch(lane.graph, self.shared.stream)
                else:
                    self._work(lane, length)
                self.shared.cuda.synchronize(self.shared.stream)
            except CudaError as error:
                why = record.reason("")
                message = f"the GPU failed in the {self._stage}: {error}{f'; TensorRT: {why}' if why else ''}"
                raise CudaError(message, error.memory, error.lost) from None
            return [self._read(slot, shape) for slot, shape in lane.outputs]

    def try_out(self) -> None:
        """Run once at the longest: what a stage loads lazily is loaded then."""
        longest = self._lengths.most
        self.run({slot.name: np.zeros(slot.at(longest), slot.dtype) for slot in self._inputs})

    def _lane(self, profile: int) -> _Lane:
        strategy = self._trt.ExecutionContextAllocationStrategy.USER_MANAGED
        with library.recorded() as record:
            context = self._trt_engine.create_execution_context(strategy)
            if context is None:
                raise _refusal(f"makes no context for the {self._stage}", record)
        stream = self.shared.stream
        if profile and not context.set_optimization_profile_async(profile, stream.handle):
            raise EdgevoiceError(f"the {self._stage}'s engine lacks profile {profile}: build it again")
        self.shared.cuda.synchronize(stream)
        return _Lane(context, [])

    def _slots(self) -> tuple[list[_Slot], list[_Slot]]:
        """Inputs one after another at their largest, then the outputs that these give."""
        trt_engine, context = self._trt_engine, self._free.context
        names = [trt_engine.get_tensor_name(index) for index in range(trt_engine.num_io_tensors)]
        mode = self._trt.TensorIOMode.INPUT
        taken = [name for name in names if trt_engine.get_tensor_mode(name) == mode]
        inputs: list[_Slot] = []
        offset = 0
        profile = len(self._lengths.profiles) - 1
        for name in taken:
            shape = shape_of(trt_engine.get_tensor_shape(name))
            if -1 in shape:
                shape = shape_of(trt_engine.get_tensor_profile_shape(name, profile)[2])
            if not context.set_input_shape(name, shape):
                raise EdgevoiceError(f"the {self._stage}'s engine lacks {name} of {shape}: build it again")
            offset = self._place(inputs, name, shape, offset)
        outputs: list[_Slot] = []
        for name in (name for name in names if name not in taken):
            offset = self._place(outputs, name, self._output_shape(context, name), offset)
        return inputs, outputs

    def _place(self, slots: list[_Slot], name: str, shape: Shape, offset: int) -> int:
        dtype = np.dtype(self._trt.nptype(self._trt_engine.get_tensor_dtype(name)))
        timed = -1 in shape_of(self._trt_engine.get_tensor_shape(name))
        slots.append(_Slot(name, offset, shape, dtype, timed))
        return offset + aligned(_bytes(shape, dtype))

    def _give_memory(self, lane: _Lane) -> None:
        shared, context = self.shared, lane.context
        context.set_device_memory(shared.arena, shared.arena_bytes)
        for slot in self._inputs + self._outputs:
            if not context.set_tensor_address(slot.name, shared.device_block + slot.offset):
                raise EdgevoiceError(f"the {self._stage}'s engine takes no address for {slot.name}")

    def _shape(self, lane: _Lane, length: int) -> None:
        """Tell the context how long the inputs are, and see how long its outputs will be."""
        for slot in self._inputs:
            if not lane.context.set_input_shape(slot.name, slot.at(length)):
                raise self._too_long(length)
        if lane.context.infer_shapes():
            raise EdgevoiceError(f"the {self._stage}'s outputs depend on its data: export the stage again")
        lane.outputs = [(slot, self._output_shape(lane.context, slot.name)) for slot in self._outputs]

    def _output_shape(self, context: Context, name: str) -> Shape:
        shape = shape_of(context.get_tensor_shape(name))
        if -1 in shape:
            raise EdgevoiceError(f"the {self._stage}'s output {name} has no length: export the stage again")
        return shape

    def _warm(self, lane: _Lane, length: int) -> None:
        """A first run, which a graph's capture needs before it, and the graph."""
        cuda, stream = self.shared.cuda, self.shared.stream
        assert self.shared.host is not None
        self.shared.host.array[:] = 0
        self._work(lane, length)
        cuda.synchronize(stream)
        try:
            lane.graph = cuda.capture(stream, lambda: self._work(lane, length))
        except CudaError as error:
            if error.lost:
                raise
            return  # it runs without one, only its launch takes longer
        if lane.graph is not None:
            self.shared.keep(lane.graph)

    def _work(self, lane: _Lane, length: int) -> None:
        """Put the copies, where there are any, and the stage on the stream."""
        shared = self.shared
        if not shared.unified:
            for slot in self._inputs:
                self._copy(shared.cuda.upload, slot, slot.at(length), up=True)
        with library.recorded() as record:
            if not lane.context.execute_async_v3(shared.stream.handle):
                message = f"TensorRT does not run the {self._stage}: {record.reason()}"
                raise CudaError(message, record.no_memory, self._is_lost())
        if not shared.unified:
            for slot, shape in lane.outputs:
                self._copy(shared.cuda.download, slot, shape, up=False)

    def _is_lost(self) -> bool:
        """TensorRT does not say it, but CUDA does, at every call from then on."""
        try:
            self.shared.cuda.synchronize(self.shared.stream)
        except CudaError as error:
            return error.lost
        return False

    def _copy(self, copy: Callable[..., None], slot: _Slot, shape: Shape, up: bool) -> None:
        shared = self.shared
        assert shared.host is not None
        device, host = shared.device_block + slot.offset, shared.host.pointer + slot.offset
        size = _bytes(shape, slot.dtype)
        if size:
            copy(*((device, host) if up else (host, device)), size, shared.stream)

    def _length(self, feeds: Mapping[str, Array]) -> int:
        lengths = {int(feeds[slot.name].shape[-1]) for slot in self._inputs if slot.timed}
        if len(lengths) > 1:
            raise EdgevoiceError(f"the {self._stage}'s inputs are of {len(lengths)} lengths")
        length = lengths.pop() if lengths else self._lengths.most
        if not 1 <= length <= self._lengths.most:
            raise self._too_long(length)
        return length

    def _too_long(self, length: int) -> EdgevoiceError:
        return EdgevoiceError(
            f"the {self._stage}'s engine takes 1 to {self._lengths.most} steps at a time, not {length}: "
            "ask for chunks as the bundle's manifest names them"
        )

    def _view(self, slot: _Slot, shape: Shape) -> Array:
        assert self.shared.host is not None
        part = self.shared.host.array[slot.offset : slot.offset + _bytes(shape, slot.dtype)]
        return part.view(slot.dtype).reshape(shape)

    def _write(self, feeds: Mapping[str, Array], length: int) -> None:
        for slot in self._inputs:
            value, shape = feeds[slot.name], slot.at(length)
            if value.shape != shape:
                raise EdgevoiceError(
                    f"the {self._stage}'s engine takes {slot.name} of shape {shape}, not {value.shape}: "
                    "it is another bundle's"
                )
            np.copyto(self._view(slot, value.shape), value, casting="same_kind")

    def _read(self, slot: _Slot, shape: Shape) -> Float:
        return np.array(self._view(slot, shape), np.float32)


def _refusal(does: str, record: library.Record) -> EdgevoiceError:
    message = f"TensorRT {does}: {record.reason()}"
    return CudaError(message, memory=True) if record.no_memory else EdgevoiceError(message)


def _bytes(shape: Shape, dtype: np.dtype[Any]) -> int:
    return int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
