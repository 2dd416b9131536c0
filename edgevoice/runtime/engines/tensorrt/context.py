"""``python -m edgevoice.runtime.engines.tensorrt.context`` prints the bytes that are free on the device for a
process that has TensorRT, a context and nothing else."""

from __future__ import annotations

from edgevoice.runtime.engines import cuda
from edgevoice.runtime.engines.tensorrt import library

if __name__ == "__main__":
    library.load()
    print(cuda.load().memory()[0], flush=True)
