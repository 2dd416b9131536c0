"""edgevoice: an expressive voice, made small, that speaks offline and at once.

>>> from edgevoice import Voice
>>> voice = Voice.load("bundle")
>>> for sound in voice.stream("Hello."):
...     play(sound, voice.sample_rate)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgevoice.errors import EdgevoiceError

if TYPE_CHECKING:
    from edgevoice.runtime.voice import Voice

__all__ = ["EdgevoiceError", "Voice"]


def __getattr__(name: str) -> Any:
    # ONNX Runtime takes most of a start's time: `edgevoice --help` and the workstation's tools do without it.
    if name == "Voice":
        from edgevoice.runtime.voice import Voice

        return Voice
    raise AttributeError(name)
