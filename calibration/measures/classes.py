"""Distances per class of speech sound: the whistle of an "s" hides in a mean over the sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.measures.spectral import log_mel, same_length
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Durations
from edgevoice.runtime.synthesis import expand

CLASSES: dict[str, str] = {
    "sibilant": "szʃʒʂʐɕʑʦʣʧʤ",
    "fricative": "fvθðxɣhɦçʝχʁħʕɸβ",
    "plosive": "pbtdkgɡqɢʔʈɖcɟɾ",
    "nasal": "mnŋɲɳɴɱ",
    "approximant": "lrɹɻwjɥʋɫʎɭʟʍɬɮʀ",
    "vowel": "aeiouyæœøɐɑɒɔəɚɘɛɜɝɞɤɨɪʉʊʌɯɵɶʏᵻᵊ",
}
FIGURES = {f"log_mel_{name}": name for name in (*CLASSES, "pause")}
"""Figures' names, and the class of each."""

_CLASS_OF = {symbol: name for name, symbols in CLASSES.items() for symbol in symbols}


@dataclass(frozen=True)
class DurationError:
    """How far a candidate's timing is from the reference's, in frames."""

    mean: float
    """Mean absolute difference for each symbol."""
    total: float
    """Relative difference of the whole length as spoken, in whole frames: 0.02 is two per cent slower."""

    def figures(self) -> dict[str, float]:
        """One sentence's values by the gate's names; the size of a change does not cancel in a mean."""
        return {
            "duration_frames": self.mean,
            "duration_total": self.total,
            "duration_sentence": abs(self.total),
        }


def class_of(symbol: str) -> str | None:
    """Class of one IPA symbol; "pause" for spaces and punctuation, None for stress and length marks."""
    if symbol in _CLASS_OF:
        return _CLASS_OF[symbol]
    return "pause" if symbol.isspace() or symbol in ",.!?;:—…-^$\"'()" else None


def class_distances(
    reference: npt.ArrayLike,
    candidate: npt.ArrayLike,
    rate: int,
    hop: int,
    symbols: Sequence[str],
    durations: Sequence[int],
) -> dict[str, float]:
    """Log-mel L1 for each class of sound, given one duration in frames of ``hop`` samples for each symbol.

    Frames of padding symbols ("" or "_") and marks count to the sound before them.
    """
    if len(symbols) != len(durations):
        raise EdgevoiceError(f"{len(symbols)} symbols have {len(durations)} durations: give one for each")
    a, b = same_length(reference, candidate, slack=hop)
    apart = np.abs(log_mel(a, rate, hop=hop) - log_mel(b, rate, hop=hop)).mean(axis=1)
    owner = np.repeat(_owners(symbols), np.asarray(durations, dtype=np.int64))[: apart.size]
    names = sorted(set(owner))
    return {str(name): float(apart[: owner.size][owner == name].mean()) for name in names}


def _owners(symbols: Sequence[str]) -> npt.NDArray[np.str_]:
    current, owners = "pause", []
    for symbol in symbols:
        current = class_of(symbol) or current if symbol not in ("", "_") else current
        owners.append(current)
    return np.asarray(owners)


def duration_error(reference: npt.ArrayLike, candidate: npt.ArrayLike, rule: Durations) -> DurationError:
    """Compare durations [T] in frames, symbol by symbol; ``rule``: how the host makes them whole."""
    a, b = np.ravel(np.asarray(reference, float)), np.ravel(np.asarray(candidate, float))
    if a.size != b.size or a.size == 0:
        raise EdgevoiceError(f"{a.size} durations cannot be compared with {b.size}")
    before, after = (float(expand(row.astype(np.float32), 1.0, rule).sum()) for row in (a, b))
    return DurationError(float(np.mean(np.abs(a - b))), after / max(before, 1.0) - 1.0)
