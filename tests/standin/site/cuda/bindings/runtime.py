"""The stand-in under cuda-python's name."""

import sys

from sitecustomize import SAID
from standin.cudart import Cudart
from standin.gpu import Gpu

FIELDS = ("total", "integrated", "fail_allocation", "lost", "lost_after")
GPU = Gpu(**{name: SAID[name] for name in FIELDS if name in SAID})
_module = Cudart(GPU)
_module.GPU = GPU
sys.modules[__name__] = _module
