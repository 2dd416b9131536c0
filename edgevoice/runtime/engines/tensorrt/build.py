"""From a typed ONNX file to a serialized TensorRT plan.

The file says each tensor's type (FP16, or INT8 by QuantizeLinear and DequantizeLinear), and the network is
strongly typed: precision flags and calibrators are gone in TensorRT 11, this way is the same from 10.3 on.
Calls that answer False, None or -1 where they fail are checked: TensorRT goes on with what it had.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.cuda import CudaError
from edgevoice.runtime.engines.tensorrt import library
from edgevoice.runtime.engines.tensorrt.interface import (
    Config,
    Network,
    Parser,
    PlanBuilder,
    RtxConfig,
    Shape,
    Tensor,
    shape_of,
)
from edgevoice.runtime.engines.tensorrt.library import Made, Module, Record


@dataclass(frozen=True)
class Steps:
    """Lengths of the time axis: ids or frames. All three equal is a static shape."""

    least: int
    best: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.best <= self.most:
            raise ValueError(f"steps must rise from 1: {self}")

    @classmethod
    def static(cls, length: int) -> Steps:
        return cls(length, length, length)


@dataclass(frozen=True)
class Order:
    """What to build. One optimisation profile for each of ``profiles``, in this order.

    ``workspace_bytes``: the builder's and the engine's scratch memory at most. ``aux_streams``: 0 keeps all
    work on one stream (34.3 MB of activations came to 18.4 with it on a Piper encoder). ``capabilities``: for
    TensorRT for RTX, whose plans are made ahead: "8.6" and so on. ``detailed``: log layers with their types.
    """

    onnx: Path
    profiles: tuple[Steps, ...]
    workspace_bytes: int
    aux_streams: int = 0
    capabilities: tuple[str, ...] = ()
    detailed: bool = False


@dataclass(frozen=True)
class Built:
    """A serialized plan, the timing cache to give to the next build, and what was logged."""

    plan: bytes
    timing_cache: bytes
    log: tuple[tuple[str, str], ...]


def build(trt: Module, order: Order, timing_cache: bytes = b"") -> Built:
    """Build ``order`` with the TensorRT module ``trt``; the same code on a device and on a workstation.

    ``timing_cache``: from an earlier build on this device, or empty; a foreign one is left out.
    Raises `EdgevoiceError` with TensorRT's reason.
    """
    logger = library.logger(trt)
    with library.recorded(order.detailed) as record:
        builder = _made(library.made(trt.Builder, logger), "a builder", order, record)
        network = _network(trt, builder, logger, order, record)
        config = _config(trt, builder, order, record)
        _add_profiles(builder, config, network, order, record)
        _set_timing_cache(config, timing_cache)
        plan = _made(builder.build_serialized_network(network, config), "an engine", order, record)
        kept = _timing_cache(config)
        return Built(bytes(plan), kept, tuple(record.lines))


def _made(value: Made | None, what: str, order: Order, record: Record) -> Made:
    if value is None:
        raise _refusal(f"cannot make {what} of", order, record)
    return value


def _refusal(does: str, order: Order, record: Record, reason: str = "") -> EdgevoiceError:
    message = f"TensorRT {does} {order.onnx}: {reason or record.reason()}"
    # What needs more than the workspace that it was allowed never builds, however much is free.
    short = record.no_memory and record.requested <= order.workspace_bytes
    return CudaError(message, memory=True) if short else EdgevoiceError(message)


def _network(trt: Module, builder: PlanBuilder, logger: Any, order: Order, record: Record) -> Network:
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = _made(builder.create_network(flags), "a network", order, record)
    parser = trt.OnnxParser(network, logger)
    try:
        with open(order.onnx, "rb"):
            parsed = parser.parse_from_file(str(order.onnx))
    except OSError as error:
        raise EdgevoiceError(f"cannot read {order.onnx}: {error.strerror}") from None
    if not parsed:
        raise _refusal("does not take", order, record, _parser_reason(parser))
    return network


def _parser_reason(parser: Parser) -> str:
    """The parser's first error, with the node."""
    if not parser.num_errors:
        return ""
    error = parser.get_error(0)
    name, operator = error.node_name(), error.node_operator()
    where = f"node {name or error.node()} ({operator}): " if operator else ""
    return where + library.shorten(error.desc())


def _config(trt: Module, builder: PlanBuilder, order: Order, record: Record) -> Config:
    config = _made(builder.create_builder_config(), "a configuration", order, record)
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, order.workspace_bytes)
    config.max_aux_streams = order.aux_streams
    if order.detailed:
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    _set_capabilities(trt, config, order, record)
    return config


def _set_capabilities(trt: Module, config: Config, order: Order, record: Record) -> None:
    """TensorRT for RTX alone builds for other devices than this one."""
    if not order.capabilities:
        return
    members = getattr(trt, "ComputeCapability", None)
    if members is None:
        raise EdgevoiceError("this TensorRT builds for the device it runs on: name no compute capability")
    config = cast(RtxConfig, config)
    config.num_compute_capabilities = len(order.capabilities)
    for index, text in enumerate(order.capabilities):
        member = getattr(members, f"SM{text.replace('.', '')}", None)
        # It answers False for one that it does not know, and would build for another.
        if member is None or not config.set_compute_capability(member, index):
            does = f"for RTX does not build for compute capability {text}:"
            raise _refusal(does, order, record, "leave it out")


def _add_profiles(
    builder: PlanBuilder, config: Config, network: Network, order: Order, record: Record
) -> None:
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    for steps in _needed(order.profiles, inputs):
        profile = _made(builder.create_optimization_profile(), "a profile", order, record)
        for tensor in inputs:
            shapes = [_shape(tensor, length, order) for length in (steps.least, steps.best, steps.most)]
            profile.set_shape(tensor.name, *shapes)
        if config.add_optimization_profile(profile) < 0:
            raise _refusal(f"does not take the lengths {steps} for", order, record)


def _needed(profiles: tuple[Steps, ...], inputs: Iterable[Tensor]) -> tuple[Steps, ...]:
    """A graph of static shapes has one profile, whatever is asked for."""
    dynamic = any(-1 in shape_of(tensor.shape) for tensor in inputs)
    return profiles if dynamic else profiles[:1]


def _shape(tensor: Tensor, length: int, order: Order) -> Shape:
    shape = shape_of(tensor.shape)
    if -1 in shape[:-1] or not shape:
        raise EdgevoiceError(
            f"{order.onnx}: input {tensor.name} has a free axis that is not its last: export the stage again"
        )
    return (*shape[:-1], length if shape[-1] == -1 else shape[-1])


def _set_timing_cache(config: Config, blob: bytes) -> None:
    """An empty cache where ``blob`` is none of this device's: it costs time, never correctness."""
    for content in (blob, b"") if blob else (b"",):
        cache = config.create_timing_cache(content)
        if cache is not None and config.set_timing_cache(cache, False):
            return


def _timing_cache(config: Config) -> bytes:
    cache = config.get_timing_cache()
    return b"" if cache is None else bytes(cache.serialize())
