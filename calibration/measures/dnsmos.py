"""DNSMOS (Reddy et al., arXiv 2110.01763): predicted opinion scores of speech, background and the whole.

The networks are those of the package ``speechmos`` (MIT); the features are computed here, so librosa is not
needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from calibration.measures.assets import package_file
from calibration.measures.memory import remembered
from calibration.measures.spectral import magnitudes, mel_filters, resample

RATE = 16000
WINDOW = 144160
"""Samples the networks look at: 9.01 s."""
PRIMARY = (
    "dnsmos_models/sig_bak_ovr.onnx",
    "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
)
P808 = ("dnsmos_models/model_v8.onnx", "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91")
CURVES = {
    "signal": (-0.08397278, 1.22083953, 0.0052439),
    "background": (-0.13166888, 1.60915514, -0.39604546),
    "overall": (-0.06766283, 1.11546468, 0.04602535),
}
"""Second-degree polynomials published with the networks, from raw outputs to scores."""


@dataclass(frozen=True)
class Dnsmos:
    """Scores from 1 to 5."""

    overall: float
    signal: float
    background: float
    p808: float


@remembered
def dnsmos(samples: npt.ArrayLike, rate: int) -> Dnsmos:
    """Score one waveform; one shorter than nine seconds is repeated, as the authors' script does."""
    audio = np.clip(resample(samples, rate, RATE), -1.0, 1.0)
    while 0 < audio.size < WINDOW:
        audio = np.concatenate([audio, audio])
    starts = range(0, max(1, audio.size - WINDOW + 1), RATE)
    scores = np.array([_window(audio[start : start + WINDOW]) for start in starts])
    return Dnsmos(*(float(score) for score in scores.mean(axis=0)))


def _window(audio: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    raw = _session(*PRIMARY).run(None, {"input_1": audio[None].astype(np.float32)})[0][0]
    signal, background, overall = (
        float(np.polyval(CURVES[name], value)) for name, value in zip(CURVES, raw, strict=True)
    )
    features = _features(audio[:-160]).astype(np.float32)[None]
    p808 = float(_session(*P808).run(None, {"input_1": features})[0][0][0])
    return overall, signal, background, p808


def _features(audio: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Mel power [frames, 120] in decibels below its maximum, at most 80, scaled to about [-1, 1]."""
    power = magnitudes(audio, 321, 160) ** 2 @ mel_filters(RATE, 321, 120).T
    decibels = 10.0 * np.log10(np.maximum(power, 1e-10) / max(float(power.max()), 1e-10))
    return np.asarray((np.maximum(decibels, -80.0) + 40.0) / 40.0)


@lru_cache(maxsize=2)
def _session(inside: str, sha256: str) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    path = package_file("speechmos", inside, sha256)
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
