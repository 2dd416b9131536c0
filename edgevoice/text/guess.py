"""How an unknown English word is probably said: a small convolutional tagger, one label a letter.

The weights are learnt by `compress/lexicon` from the CMU dictionary and travel as 8-bit numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from edgevoice.text.sounds import assimilate, split

ALPHABET = "^$'abcdefghijklmnopqrstuvwxyz"
KERNEL = 5
DILATIONS = (1, 1, 2, 2)
_ONE_THREAD = 2**18  # multiplications; OpenBLAS uses threads above this

Weights: TypeAlias = Mapping[str, NDArray[np.float32]]


class Guesser:
    """Letter-to-sound model; deterministic, and every word gets one main stress and so at least one vowel."""

    def __init__(self, weights: Weights, labels: Sequence[str]) -> None:
        self._weights = weights
        self._labels = tuple(labels)
        self._main = np.array(["ˈ" in label for label in labels])

    def __call__(self, word: str) -> list[str]:
        """Symbols of ``word``, which holds the letters a to z and apostrophes only, at least one of them."""
        scores = self._scores(word)
        plain = np.where(self._main, -np.inf, scores)
        stressed = np.where(self._main, scores, -np.inf)
        best = plain.argmax(-1)
        at = int((stressed.max(-1) - plain.max(-1)).argmax())
        best[at] = stressed[at].argmax()
        said = [symbol for label in best for symbol in split(self._labels[label])]
        return assimilate(said, word)

    def _scores(self, word: str) -> NDArray[np.float32]:
        """f32 [letters, labels]."""
        weights = self._weights
        x = weights["letters"][[ALPHABET.index(letter) for letter in f"^{word}$"]]
        for i, dilation in enumerate(DILATIONS):
            hidden = _convolve(_normalise(x), weights[f"conv{i}"], dilation) + weights[f"bias{i}"]
            x = x + np.maximum(hidden, 0)
        scores: NDArray[np.float32] = _product(_normalise(x), weights["out"])[1:-1] + weights["out_bias"]
        return scores


def _normalise(x: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = x - x.mean(-1, keepdims=True)
    normal: NDArray[np.float32] = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return normal


def _convolve(x: NDArray[np.float32], kernel: NDArray[np.float32], dilation: int) -> NDArray[np.float32]:
    """f32 [T, C] and [KERNEL·C, D] to [T, D], zeros beyond the ends."""
    length, width = x.shape
    side = dilation * (KERNEL // 2)
    padded = np.zeros((length + 2 * side, width), np.float32)
    padded[side : side + length] = x
    total = np.zeros((length, kernel.shape[1]), np.float32)
    for k in range(KERNEL):
        total += _product(padded[k * dilation : k * dilation + length], kernel[k * width : (k + 1) * width])
    return total


def _product(x: NDArray[np.float32], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """Matrix product in pieces that OpenBLAS does not spread over threads.

    Its threads spin for each other: on two busy cores one whole product took 40 ms, in pieces 0.1 ms.
    """
    rows = max(_ONE_THREAD // matrix.size, 2)
    parts = np.array_split(x, -(-len(x) // rows))
    return np.concatenate([part @ matrix for part in parts])
