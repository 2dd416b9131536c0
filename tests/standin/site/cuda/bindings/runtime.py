"""The stand-in under cuda-python's name."""

import sys

from sitecustomize import ABOVE, SAID
from standin.cudart import Cudart
from standin.gpu import Gpu

FIELDS = ("total", "integrated", "fail_allocation", "lost", "lost_after")
CONTEXT_BYTES = 4096
GPU = Gpu(**{name: SAID[name] for name in FIELDS if name in SAID}, elsewhere=ABOVE * CONTEXT_BYTES)
_module = Cudart(GPU)
_module.GPU = GPU
sys.modules[__name__] = _module
