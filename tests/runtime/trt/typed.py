"""Checked by pyright and never run: what edgevoice takes TensorRT for is what a release's stubs say it is,
and what the tests' stand-in is."""

import tensorrt
from standin.gpu import Gpu
from standin.trt import Tensorrt

from edgevoice.runtime.engines.tensorrt.interface import TensorRt

release: TensorRt = tensorrt
stand_in: TensorRt = Tensorrt(Gpu())
