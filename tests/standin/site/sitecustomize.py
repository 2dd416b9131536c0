"""For processes of their own: with this folder on PYTHONPATH they find a GPU that is none.

``STANDIN_GPU`` holds JSON: fields of `standin.gpu.Gpu`, and for TensorRT ``version``, ``build_fault``,
``run_fault``; ``driver`` false means that there is no driver; ``fast``
that every stage is timed as faster on it than on the CPU.
"""

import ctypes
import json
import os
import types

SAID = json.loads(os.environ.get("STANDIN_GPU", "{}"))

ABOVE = int(os.environ.get("STANDIN_ABOVE", "0"))
"""Processes that this one descends from and that may hold a context."""
os.environ["STANDIN_ABOVE"] = str(ABOVE + 1)


def _count(pointer):
    ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = 1
    return 0


class _CDLL(ctypes.CDLL):
    def __new__(cls, name=None, *args, **kwargs):
        if name != "libcuda.so.1":
            return super().__new__(cls)
        if not SAID.get("driver", True):
            raise OSError(name)
        return types.SimpleNamespace(cuInit=lambda flags: 0, cuDeviceGetCount=_count)


# `edgevoice.runtime.engines.cuda` looks the driver up by this name when it is imported.
ctypes.CDLL = _CDLL
