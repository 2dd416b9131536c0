"""PESQ (ITU-T P.862.2, wide band) and STOI (Taal et al., 2011) against the teacher's sound, by optional
packages."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calibration.measures.assets import needed
from calibration.measures.spectral import resample, same_length

RATE = 16000
INSTALL = "pip install pesq (needs a C compiler)"


def pesq(reference: npt.ArrayLike, candidate: npt.ArrayLike, rate: int) -> float:
    """Wide-band PESQ from 1.04 to 4.64; nan where it finds no speech. The package compiles C when it is
    installed."""
    package = needed("pesq", INSTALL)
    first, second = _pair(reference, candidate, rate)
    try:
        return float(package.pesq(RATE, first, second, "wb"))
    except package.NoUtterancesError:
        return float("nan")


def stoi(reference: npt.ArrayLike, candidate: npt.ArrayLike, rate: int) -> float:
    """Short-time objective intelligibility, 0 to 1."""
    package = needed("pystoi")
    first, second = _pair(reference, candidate, rate)
    return float(package.stoi(first, second, RATE, extended=False))


def _pair(
    reference: npt.ArrayLike, candidate: npt.ArrayLike, rate: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    first, second = same_length(reference, candidate, slack=256)
    return (
        resample(first, rate, RATE).astype(np.float32),
        resample(second, rate, RATE).astype(np.float32),
    )
