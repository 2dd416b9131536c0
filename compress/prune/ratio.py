"""How many channels a ratio leaves, and what a stage of that size looks like."""

from __future__ import annotations

from dataclasses import replace

from compress.prune.encoder import TeacherEncoderConfig
from compress.prune.hifigan import HiFiGanConfig

GRAIN = 8
"""Channels are kept in eights, which vector units and tensor cores work in."""


def kept(channels: int, keep: float) -> int:
    """How many of ``channels`` stay at the ratio ``keep``; few channels are counted one by one."""
    grain = GRAIN if channels >= 4 * GRAIN else 1
    return min(channels, max(grain, round(channels * keep / grain) * grain))


def thinner_encoder(config: TeacherEncoderConfig, keep: float) -> TeacherEncoderConfig:
    return replace(config, filters=tuple(kept(filters, keep) for filters in config.filters))


def thinner_hifigan(config: HiFiGanConfig, keep: float) -> HiFiGanConfig:
    channels, inner = (
        tuple(kept(count, keep) for count in counts) for counts in (config.channels, config.inner)
    )
    return replace(config, channels=channels, inner=inner)
