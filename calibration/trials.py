"""Trials of one stage with some of its layers in INT8, each kept on disk so that a stopped search goes on."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.atomic import atomic
from calibration.groups import Group
from calibration.measures.spectral import mean_log_mel_l1
from calibration.quantize import quantize
from calibration.ranges import Histogram

Wave = npt.NDArray[np.floating[Any]]

Render = Callable[[Path], Sequence[Wave]]
"""From a stage's file to waveforms of whole sentences that calibration did not see.

Whole, with their pauses: on windows from the middle of sentences the search kept a layer whose hiss is heard
in the pauses, and 0.23 nepers there were 0.41 over the sentences.
"""


class Trials:
    """Quantises sets of groups and remembers what each lost."""

    def __init__(
        self,
        model: Path,
        render: Render,
        rate: int,
        groups: Sequence[Group],
        histograms: Mapping[str, Histogram],
        state: Path | None,
        options: Mapping[str, object],
    ) -> None:
        self.model, self.render, self.rate, self.groups = model, render, rate, {g.name: g for g in groups}
        self.histograms, self.state, self.options = histograms, state, dict(options)
        self.reference = [np.asarray(sound) for sound in render(model)]
        self.key = self._fingerprint()
        self.known = self._read()
        self.made = 0

    def loss(self, names: Sequence[str]) -> float:
        """Mean log-mel L1 with the named groups in INT8."""
        if not names:
            return 0.0
        key = "\n".join(sorted(names))
        if key not in self.known:
            self.known[key] = self._measure(names)
            self.made += 1
            self._write()
        return self.known[key]

    def share(self, names: Sequence[str]) -> float:
        """Of the multiplications that the named groups do."""
        return sum(self.groups[name].share for name in names)

    def excluded(self, names: Sequence[str]) -> tuple[str, ...]:
        """The layers of all other groups."""
        return tuple(
            layer for group in self.groups.values() if group.name not in names for layer in group.layers
        )

    def curve(self) -> tuple[tuple[float, float], ...]:
        """(share, loss) of every set tried so far."""
        sets = [(key.split("\n"), loss) for key, loss in self.known.items()]
        return tuple(
            sorted((self.share(names), loss) for names, loss in sets if set(names) <= set(self.groups))
        )

    def _measure(self, names: Sequence[str]) -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trial.onnx"
            quantize(
                self.model,
                path,
                exclude=self.excluded(names),
                histograms=self.histograms,
                check=False,
                **self.options,  # type: ignore[arg-type]
            )
            return mean_log_mel_l1(self.reference, self.render(path), self.rate)

    def _fingerprint(self) -> str:
        digest = hashlib.sha256(self.model.read_bytes())
        digest.update(json.dumps(self.options, sort_keys=True, default=sorted).encode())
        for name in sorted(self.histograms):
            digest.update(self.histograms[name].counts.tobytes())
        for sound in self.reference:
            digest.update(np.ascontiguousarray(sound, np.float32).tobytes())
        return digest.hexdigest()

    def _read(self) -> dict[str, float]:
        if self.state is None or not self.state.is_file():
            return {}
        try:
            kept = json.loads(self.state.read_text())
            return dict(kept["losses"]) if kept["key"] == self.key else {}
        except (ValueError, KeyError, TypeError):
            return {}  # cut short or foreign: measured again

    def _write(self) -> None:
        if self.state is None:
            return
        with atomic(self.state) as file:
            kept = {"key": self.key, "losses": self.known}
            file.write(json.dumps(kept, indent=1, sort_keys=True).encode())
