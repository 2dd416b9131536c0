"""Speaker similarity: cosine of d-vectors (Wan et al., arXiv 1710.10467) by the Resemblyzer package's
network.

Its weights (Apache-2.0, inside the wheel) are read here and run in numpy: the package itself drags in torch,
librosa and a compiled voice activity detector. No part of it is imported. Scale, measured on one voice: the
same text with another noise seed 0.98, other text 0.88, other voices 0.44 to 0.53.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from calibration.measures.assets import package_file
from calibration.measures.memory import remembered
from calibration.measures.spectral import magnitudes, mel_filters, resample

Floats = npt.NDArray[np.floating[Any]]

RATE = 16000
PARTIAL = 160
"""Frames of 10 ms that the network sees at once."""
LEVEL = 10.0 ** (-30.0 / 20.0)
WEIGHTS = ("pretrained.pt", "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e")
INSTALL = "pip install --no-deps resemblyzer"


@remembered
def embedding(samples: npt.ArrayLike, rate: int) -> npt.NDArray[np.float64]:
    """Unit vector [256] of the voice that speaks in ``samples``; at least 1.6 s are looked at."""
    audio = resample(samples, rate, RATE)
    level = float(np.sqrt(np.mean(audio**2))) if audio.size else 0.0
    audio = audio * max(1.0, LEVEL / max(level, 1e-9))
    mel = magnitudes(audio, 400, 160) ** 2 @ mel_filters(RATE, 400, 40).T
    mel = np.pad(mel, ((0, max(0, PARTIAL - len(mel))), (0, 0)))
    starts = list(range(0, len(mel) - PARTIAL + 1, PARTIAL // 2))
    parts = _encode(np.stack([mel[start : start + PARTIAL] for start in starts]))
    total = parts.mean(axis=0)
    return np.asarray(total / max(float(np.linalg.norm(total)), 1e-9), dtype=np.float64)


def cosine(reference: npt.ArrayLike, candidate: npt.ArrayLike, rate: int) -> float:
    """Similarity of two speakers, 1 for the same sound."""
    return float(embedding(reference, rate) @ embedding(candidate, rate))


def _encode(mel: Floats) -> Floats:
    """Unit vectors [parts, 256] of mel windows [parts, 160, 40]: three LSTM layers and a projection."""
    weights = _weights()
    layer = mel.astype(np.float32)
    for index in range(3):
        layer = _lstm(layer, *(weights[f"lstm.{name}_l{index}"] for name in _NAMES))
    vectors = np.maximum(0.0, layer[:, -1] @ weights["linear.weight"].T + weights["linear.bias"])
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9))


_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def _lstm(inputs: Floats, into: Floats, back: Floats, bias: Floats, other: Floats) -> Floats:
    driven = inputs @ into.T + (bias + other)
    hidden = np.zeros((inputs.shape[0], back.shape[1]), np.float32)
    cell = np.zeros_like(hidden)
    steps = np.empty((*inputs.shape[:2], back.shape[1]), np.float32)
    for time in range(inputs.shape[1]):
        gate_in, forget, candidate, out = np.split(driven[:, time] + hidden @ back.T, 4, axis=1)
        cell = _sigmoid(forget) * cell + _sigmoid(gate_in) * np.tanh(candidate)
        hidden = _sigmoid(out) * np.tanh(cell)
        steps[:, time] = hidden
    return steps


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))


class _Storage:
    """Place holder for a tensor's numbers, which stand after the pickles in the file."""

    def __init__(self, key: str) -> None:
        self.key = key


def _view(
    storage: _Storage, offset: int, size: tuple[int, ...], *_: object
) -> tuple[str, int, tuple[int, ...]]:
    return storage.key, offset, tuple(size)


class _Reader(pickle.Unpickler):
    """Accepts the four names a legacy torch file of float tensors uses, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        allowed: dict[tuple[str, str], Any] = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _view,
            ("torch", "FloatStorage"): "FloatStorage",
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"unexpected {module}.{name} in the speaker encoder's weights")
        return allowed[module, name]

    def persistent_load(self, saved: Any) -> _Storage:
        return _Storage(str(saved[2]))


@lru_cache(maxsize=1)
def _weights() -> dict[str, Floats]:
    with package_file("resemblyzer", *WEIGHTS, install=INSTALL).open("rb") as file:
        for _ in range(3):
            _Reader(file).load()
        views = _Reader(file).load()["model_state"]
        stored = _storages(file, _Reader(file).load())
    return {
        name: stored[key][offset : offset + int(np.prod(size))].reshape(size)
        for name, (key, offset, size) in views.items()
    }


def _storages(file: BinaryIO, keys: list[str]) -> dict[str, Floats]:
    counts_and_data = {}
    for key in keys:
        count = int(np.frombuffer(file.read(8), "<i8")[0])
        counts_and_data[key] = np.frombuffer(file.read(4 * count), "<f4")
    return counts_and_data
