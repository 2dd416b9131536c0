"""The main directions of a teacher's latents, so that a student need not carry all of its channels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from compress.labels.store import Labels, write_atomically
from edgevoice.errors import EdgevoiceError

NAME = "basis.safetensors"
SHARDS = 4
EVERY = 3


@dataclass(frozen=True)
class Basis:
    """``reduce`` gives components of variance one, the largest first. ``rows`` f32 [components, channels]."""

    mean: NDArray[np.float32]
    rows: NDArray[np.float32]
    kept: float

    def reduce(self, latents: NDArray[Any]) -> NDArray[np.float32]:
        """[channels,F] to [components,F]."""
        components: NDArray[np.float32] = self.rows @ (latents.astype(np.float32) - self.mean[:, None])
        return components


def basis(root: Path, labels: Labels, components: int) -> Basis:
    """The basis of a label folder, made once from its first shards and kept beside them."""
    path = root / NAME
    if not path.exists():
        _make(path, labels)
    stored = load_file(path)
    if components > len(stored["values"]):
        raise EdgevoiceError(f"the latents have {len(stored['values'])} channels, not {components}")
    values = stored["values"]
    rows = stored["vectors"].T[:components] / np.sqrt(values[:components, None] + 1e-6)
    return Basis(stored["mean"], rows.astype(np.float32), float(values[:components].sum() / values.sum()))


def _make(path: Path, labels: Labels) -> None:
    first = sorted({entry.shard for entry in labels.entries})[:SHARDS]
    chosen = [n for n, entry in enumerate(labels.entries) if entry.shard in first]
    frames = np.concatenate([labels.read(n, ["latents"])["latents"][:, ::EVERY] for n in chosen], axis=1)
    data = frames.astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(data))
    stored = {
        "mean": data.mean(1).astype(np.float32),
        "values": values[::-1].astype(np.float32),
        "vectors": np.ascontiguousarray(vectors[:, ::-1]).astype(np.float32),
    }
    write_atomically(path, save(stored))
