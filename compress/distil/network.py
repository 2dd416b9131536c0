"""What a student's network is, as plain values, so that a file of weights becomes a network again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import nn

from compress.distil.tasks.kokoro import TextSide
from compress.prune.encoder import TeacherEncoder, TeacherEncoderConfig
from compress.prune.hifigan import HiFiGan, HiFiGanConfig
from compress.students.acoustic import Acoustic, AcousticConfig, ContourAcoustic, ContourConfig
from compress.students.encoder import Encoder, EncoderConfig
from compress.students.vocoder import Vocoder, VocoderConfig

KINDS: dict[str, tuple[Any, Any]] = {
    "vocoder": (Vocoder, VocoderConfig),
    "acoustic": (Acoustic, AcousticConfig),
    "contour": (ContourAcoustic, ContourConfig),
    "encoder": (Encoder, EncoderConfig),
    "pruned-encoder": (TeacherEncoder, TeacherEncoderConfig),
    "pruned-vocoder": (HiFiGan, HiFiGanConfig),
}
"""Networks that are made of one configuration, and its class."""


def describe(student: nn.Module) -> dict[str, Any]:
    """Plain values from which `build` makes the same network, its weights random."""
    if isinstance(student, TextSide):
        parts = {"encoder": describe(student.encoder), "acoustic": describe(student.acoustic)}
        return {"kind": "text", **parts, "states": student.tie.out_channels}
    for kind, (network, _) in KINDS.items():
        if type(student) is network:
            return {"kind": kind, "config": asdict(student.config)}  # type: ignore[call-overload]
    raise TypeError(f"a {type(student).__name__} cannot be kept in a file of weights")


def build(described: Mapping[str, Any]) -> nn.Module:
    """The network that `describe` described; KeyError or TypeError where it is none."""
    if described["kind"] == "text":
        encoder, acoustic = build(described["encoder"]), build(described["acoustic"])
        assert isinstance(encoder, Encoder)
        assert isinstance(acoustic, ContourAcoustic)
        return TextSide(encoder, acoustic, int(described["states"]))
    network, config = KINDS[described["kind"]]
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in described["config"].items()
    }
    made: nn.Module = network(config(**values))
    return made
