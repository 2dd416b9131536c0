"""The stand-in under TensorRT's name."""

import sys

from cuda.bindings.runtime import GPU
from sitecustomize import SAID
from standin.trt import Tensorrt

_module = Tensorrt(GPU, SAID.get("version", "10.3.0"))
_module.build_fault, _module.run_fault = SAID.get("build_fault", ""), SAID.get("run_fault", "")
sys.modules[__name__] = _module

if SAID.get("fast"):
    # The stand-in computes with ONNX Runtime, so which of the two is faster would be chance.
    from edgevoice.runtime.engines.onnx import OnnxEngine
    from edgevoice.runtime.engines.tensorrt import timing

    timing.median = lambda engine, feeds: 10.0 if isinstance(engine, OnnxEngine) else 1.0
