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
            hidden = _neighbours(_normalise(x), dilation) @ weights[f"conv{i}"] + weights[f"bias{i}"]
            x = x + np.maximum(hidden, 0)
        scores: NDArray[np.float32] = _normalise(x)[1:-1] @ weights["out"] + weights["out_bias"]
        return scores


def _normalise(x: NDArray[np.float32]) -> NDArray[np.float32]:
    centred = x - x.mean(-1, keepdims=True)
    normal: NDArray[np.float32] = centred / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return normal


def _neighbours(x: NDArray[np.float32], dilation: int) -> NDArray[np.float32]:
    """f32 [T, C] to [T, KERNEL·C]: each position beside those around it, zeros beyond the ends."""
    side = dilation * (KERNEL // 2)
    padded = np.zeros((len(x) + 2 * side, x.shape[1]), np.float32)
    padded[side : side + len(x)] = x
    return np.concatenate([padded[k * dilation : k * dilation + len(x)] for k in range(KERNEL)], axis=-1)
