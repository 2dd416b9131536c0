"""TensorRT for RTX on the workstation, where it builds without a GPU: engines ahead of time, and their needs.

It builds for other GPUs than TensorRT does on a Jetson, with other kernels. So a file that builds here
"builds under TensorRT for RTX", and its bytes are that builder's; no more is said of a device.
"""

from __future__ import annotations

import importlib.util

from edgevoice import install
from edgevoice.errors import EdgevoiceError

LIBRARY = "tensorrt_rtx"


def installed() -> bool:
    return importlib.util.find_spec(LIBRARY) is not None


def require() -> None:
    """Raise `EdgevoiceError` where TensorRT for RTX is not installed."""
    if not installed():
        raise EdgevoiceError(f"TensorRT for RTX is not installed: {install.command('rtx')}")
