"""Builds one file with TensorRT for RTX and prints its layers' types as JSON; a process of its own for each
build.

Usage: python rtx_build.py FILE. The library's logger is one for the process, and it needs no GPU to build for
SM86.
"""

import collections
import json
import re
import sys

import tensorrt_rtx as trt


class Log(trt.ILogger):  # type: ignore[misc]
    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.lines: list[str] = []

    def log(self, severity: object, message: str) -> None:
        self.lines.append(message)


def build(path: str) -> dict[str, object]:
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    if not parser.parse_from_file(path):
        return {"refused": parser.get_error(0).desc()}
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    if not config.set_compute_capability(trt.ComputeCapability.SM86, 0):
        return {"refused": "compute capability"}
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shapes = [[size if side < 0 else side for side in tensor.shape] for size in (8, 32, 64)]
        profile.set_shape(tensor.name, *shapes)
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    layers = re.findall(r"LayerType: (\w+), Inputs: \[.*?Datatype: (\w+)", "\n".join(log.lines))
    counts = collections.Counter(f"{kind} {datatype}" for kind, datatype in layers)
    return {
        "plan": 0 if plan is None else plan.nbytes,
        "layers": counts,
        "log": log.lines[-3:] if not plan else [],
    }


print(json.dumps(build(sys.argv[1])))
