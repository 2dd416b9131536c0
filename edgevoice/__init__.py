"""edgevoice: an expressive voice, made small, that speaks offline and at once.

>>> from edgevoice import Voice
>>> voice = Voice.load("bundle")
>>> for sound in voice.stream("Hello."):
...     play(sound, voice.sample_rate)
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from edgevoice.errors import EdgevoiceError

if TYPE_CHECKING:
    from edgevoice.runtime.voice import Voice

__all__ = ["EdgevoiceError", "Voice"]

# ONNX Runtime 1.32 starts a thread on import that keeps a database in ~/.cache/Microsoft and reports to its
# maker over HTTPS. A voice that speaks without a network does not; who wants it sets the variable to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> Any:
    # ONNX Runtime takes most of a start's time: `edgevoice --help` and the workstation's tools do without it.
    if name == "Voice":
        from edgevoice.runtime.voice import Voice

        return Voice
    raise AttributeError(name)
