"""A speaker's row for the length of a sentence, of voices that have more than one for each speaker."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]


def at(rows: Float, counts: Sequence[int], ids: int) -> Float:
    """Of ``rows`` f32 [K,width], known at rising ``counts`` of ids, the one for ``ids``: f32 [1,width].

    Between two counts it is linear, beyond them the nearest. Without counts ``rows`` is the row, [width].
    """
    if not counts:
        return rows[None]
    place = float(np.interp(ids, counts, np.arange(len(counts))))
    low = min(int(place), len(counts) - 2) if len(counts) > 1 else 0
    high = min(low + 1, len(counts) - 1)
    share = np.float32(place - low)
    return np.asarray((1 - share) * rows[low] + share * rows[high], np.float32)[None]
