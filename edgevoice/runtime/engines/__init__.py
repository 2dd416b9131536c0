"""Engines: a stage made ready for one device, behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]


class Engine(Protocol):
    """Runs one stage. ``inputs``: the names that the stage takes."""

    inputs: tuple[str, ...]

    def run(self, feeds: Mapping[str, Array]) -> list[npt.NDArray[np.float32]]:
        """The stage's outputs, in the order of the stage contract."""
        ...
