"""The options of speech that can be judged without a voice."""

from __future__ import annotations

from typing import Literal

from edgevoice.errors import EdgevoiceError

Wish = Literal["", "onnxruntime", "tensorrt"]
"""The engine that was asked for; "" is what suits the bundle and the machine."""

PAUSE_SECONDS = 0.3
"""Between sentences, beside the tenth of a second that stays around each."""

SPEEDS = (0.1, 10.0)
LONGEST_PAUSE = 60.0

LONGEST_IDS = 800
"""Ids that the encoder takes at a time: its attention grows with their square. Prose of 300 characters has
650 in a Piper voice, letters that are spelled out have several thousand."""


def check_options(speed: float, pause: float, seed: int) -> None:
    """Refuse what makes no sense for any voice."""
    slowest, fastest = SPEEDS
    if not slowest <= speed <= fastest:
        raise EdgevoiceError(f"speed {speed} is not possible: give a number from {slowest} to {fastest}")
    if not 0 <= pause <= LONGEST_PAUSE:
        raise EdgevoiceError(f"pause {pause} is not possible: give 0 to {LONGEST_PAUSE:.0f} seconds")
    if seed < 0:
        raise EdgevoiceError(f"seed {seed} is not possible: give a whole number, 0 or more")


def required(text: str) -> Wish:
    """What ``--require`` names."""
    if text not in ("", "tensorrt"):
        raise EdgevoiceError(f"--require {text} is not possible: only tensorrt can be required")
    return "tensorrt" if text else ""
