"""The stand-in under TensorRT's name."""

import sys

from cuda.bindings.runtime import GPU
from sitecustomize import SAID
from standin.trt import Tensorrt

_module = Tensorrt(GPU, SAID.get("version", "10.3.0"))
_module.build_fault, _module.run_fault = SAID.get("build_fault", ""), SAID.get("run_fault", "")
sys.modules[__name__] = _module
