"""Quality measures: one place for every figure that this project states about sound.

`compare` runs groups of them over sentences; each is also a function of its own.
"""

from calibration.measures.classes import class_distances, duration_error
from calibration.measures.compare import DIFFERENCES, GROUPS, Comparison, available, compare
from calibration.measures.pitch import fundamental, pitch_error
from calibration.measures.signal import SignalReport, inspect
from calibration.measures.spectral import log_mel, log_mel_l1, resample, stft_distance
from calibration.measures.statistics import Interval, mean, paired, paired_rate

__all__ = [
    "DIFFERENCES",
    "GROUPS",
    "Comparison",
    "Interval",
    "SignalReport",
    "available",
    "class_distances",
    "compare",
    "duration_error",
    "fundamental",
    "inspect",
    "log_mel",
    "log_mel_l1",
    "mean",
    "paired",
    "paired_rate",
    "pitch_error",
    "resample",
    "stft_distance",
]
