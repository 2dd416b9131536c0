"""Trains the letter-to-sound model: a small convolutional tagger in NumPy, one label a letter.

Each letter's label is what it says (`compress.lexicon.sounds.by_letter`), learnt from the dictionary itself.
NumPy keeps the builder free of torch: the network has 0.4 million weights and learns in minutes.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevoice.text.guess import ALPHABET, DILATIONS, KERNEL, Weights

Array = NDArray[np.float32]
Words = Sequence[tuple[str, list[str]]]

RAREST = 8
"""A label seen less often than this is a slip of the dictionary or the alignment; its words are left out."""


@dataclass(frozen=True)
class Training:
    width: int = 128
    epochs: int = 14
    batch: int = 2048  # letters
    rate: float = 2e-3
    dropout: float = 0.1
    seed: int = 0


def label_names(words: Words) -> list[str]:
    counts = Counter(label for _, labels in words for label in labels)
    return sorted(label for label, count in counts.items() if count >= RAREST)


def train(words: Words, names: list[str], config: Training) -> Iterator[Weights]:
    """The weights after each epoch."""
    rng = np.random.default_rng(config.seed)
    index = {name: i for i, name in enumerate(names)}
    groups = _groups(words, index)
    weights = _start(len(names), config.width, rng)
    moments = {name: (np.zeros_like(value), np.zeros_like(value)) for name, value in weights.items()}
    per_epoch = sum(1 for _ in _batches(groups, config.batch, np.random.default_rng(0)))
    total = per_epoch * config.epochs
    step = 0
    for _ in range(config.epochs):
        for letters, labels in _batches(groups, config.batch, rng):
            step += 1
            rate = config.rate * min(step / 200, 0.5 + 0.5 * math.cos(math.pi * step / total) + 1e-3)
            _adam(weights, _gradients(weights, letters, labels, config.dropout, rng), moments, rate, step)
        yield {name: value.copy() for name, value in weights.items()}


def _groups(words: Words, index: dict[str, int]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Words of one length together, so no batch needs padding. Letters carry a mark at both ends."""
    by_length: defaultdict[int, list[tuple[list[int], list[int]]]] = defaultdict(list)
    for word, labels in words:
        if all(label in index for label in labels):
            letters = [ALPHABET.index(letter) for letter in f"^{word}$"]
            by_length[len(word)].append((letters, [index[label] for label in labels]))
    return [
        (np.array([row[0] for row in rows]), np.array([row[1] for row in rows]))
        for _, rows in sorted(by_length.items())
    ]


def _batches(
    groups: list[tuple[NDArray[np.int64], NDArray[np.int64]]], letters: int, rng: np.random.Generator
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    cuts = []
    for g, (rows, _) in enumerate(groups):
        order = rng.permutation(len(rows))
        size = max(letters // rows.shape[1], 1)
        cuts += [(g, order[at : at + size]) for at in range(0, len(order), size)]
    for i in rng.permutation(len(cuts)):
        g, picked = cuts[i]
        yield groups[g][0][picked], groups[g][1][picked]


def _start(labels: int, width: int, rng: np.random.Generator) -> dict[str, Array]:
    def normal(*shape: int, scale: float) -> Array:
        return (rng.standard_normal(shape) * scale).astype(np.float32)

    weights = {"letters": normal(len(ALPHABET), width, scale=0.5)}
    for i in range(len(DILATIONS)):
        weights[f"conv{i}"] = normal(KERNEL * width, width, scale=math.sqrt(2 / (KERNEL * width)))
        weights[f"bias{i}"] = np.zeros(width, np.float32)
    weights["out"] = normal(width, labels, scale=1 / math.sqrt(width))
    weights["out_bias"] = np.zeros(labels, np.float32)
    return weights


def _normalise(x: Array) -> tuple[Array, Array]:
    """Zero mean and unit variance over channels, and the inverse deviation for the way back."""
    centred = x - x.mean(-1, keepdims=True)
    inverse = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return centred * inverse, inverse


def _normalise_back(grad: Array, normal: Array, inverse: Array) -> Array:
    mean = grad.mean(-1, keepdims=True)
    along = (grad * normal).mean(-1, keepdims=True)
    result: Array = inverse * (grad - mean - normal * along)
    return result


def _columns(x: Array, dilation: int) -> Array:
    """Neighbours side by side: [B, T, C] to [B·T, KERNEL·C]."""
    side = dilation * (KERNEL // 2)
    padded = np.pad(x, ((0, 0), (side, side), (0, 0)))
    length = x.shape[1]
    taps = [padded[:, k * dilation : k * dilation + length] for k in range(KERNEL)]
    return np.concatenate(taps, axis=-1).reshape(-1, KERNEL * x.shape[2])


def _columns_back(grad: Array, shape: tuple[int, ...], dilation: int) -> Array:
    side = dilation * (KERNEL // 2)
    batch, length, width = shape
    taps = grad.reshape(batch, length, KERNEL, width)
    padded = np.zeros((batch, length + 2 * side, width), np.float32)
    for k in range(KERNEL):
        padded[:, k * dilation : k * dilation + length] += taps[:, :, k]
    inner: Array = padded[:, side : side + length]
    return inner


def _gradients(
    weights: dict[str, Array],
    letters: NDArray[np.int64],
    labels: NDArray[np.int64],
    dropout: float,
    rng: np.random.Generator,
) -> dict[str, Array]:
    x = weights["letters"][letters]
    kept = []
    for i, dilation in enumerate(DILATIONS):
        normal, inverse = _normalise(x)
        mask = (rng.random(normal.shape, np.float32) >= dropout).astype(np.float32) / np.float32(1 - dropout)
        columns = _columns(normal * mask, dilation)
        hidden = np.maximum(columns @ weights[f"conv{i}"] + weights[f"bias{i}"], 0)
        kept.append((normal, inverse, mask, columns, hidden))
        x = x + hidden.reshape(x.shape)
    normal, inverse = _normalise(x)
    inner = normal[:, 1:-1].reshape(-1, x.shape[-1])
    logits = inner @ weights["out"] + weights["out_bias"]
    logits -= logits.max(-1, keepdims=True)
    chance = np.exp(logits)
    chance /= chance.sum(-1, keepdims=True)
    chance[np.arange(len(chance)), labels.reshape(-1)] -= 1
    chance /= len(chance)

    grads = {"out": inner.T @ chance, "out_bias": chance.sum(0)}
    back = np.zeros_like(x)
    back[:, 1:-1] = (chance @ weights["out"].T).reshape(back[:, 1:-1].shape)
    back = _normalise_back(back, normal, inverse)
    for i in reversed(range(len(DILATIONS))):
        normal, inverse, mask, columns, hidden = kept[i]
        through = back.reshape(hidden.shape) * (hidden > 0)
        grads[f"conv{i}"] = columns.T @ through
        grads[f"bias{i}"] = through.sum(0)
        into = _columns_back(through @ weights[f"conv{i}"].T, x.shape, DILATIONS[i])
        back = back + _normalise_back(into * mask, normal, inverse)
    which = np.eye(len(ALPHABET), dtype=np.float32)[letters.reshape(-1)]
    grads["letters"] = which.T @ back.reshape(-1, back.shape[-1])
    return grads


def _adam(
    weights: dict[str, Array],
    grads: dict[str, Array],
    moments: dict[str, tuple[Array, Array]],
    rate: float,
    step: int,
) -> None:
    for name, grad in grads.items():
        first, second = moments[name]
        first += 0.1 * (grad - first)
        second += 0.01 * (grad * grad - second)
        update = (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.99**step)) + 1e-8)
        weights[name] -= np.float32(rate) * update
