"""Labels on disk: shards of whole utterances, each written in one step and bound to its teacher."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from compress.teachers.base import Utterance
from compress.tensor_file import in_order
from edgevoice.errors import EdgevoiceError

INDEX = "labels.json"


@dataclass(frozen=True)
class LabelInfo:
    """What the labels are of. ``key`` changes with the teacher's file and all that shapes a label.

    ``full_scale``: the sample value that the largest 16-bit integer stands for. ``noise``: channels and scale
    of each stage's sampled input, which with an utterance's seed gives the very numbers the teacher drew.
    """

    teacher: str
    key: str
    sample_rate: int
    hop: int
    format: int = 1
    full_scale: float = 1.0
    noise: dict[str, list[float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Entry:
    """Where one utterance lies. ``frames`` is its length in frames of ``hop`` samples."""

    shard: Path
    number: int
    text: str
    seed: int
    frames: int
    with_audio: bool = True


def write_atomically(path: Path, data: bytes) -> None:
    """Write beside ``path`` and rename, so that a killed process or a full disk leaves no half file."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise EdgevoiceError(
            f"cannot write {path} ({error.strerror}); free some space or name another folder"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def open_folder(root: Path, info: LabelInfo) -> None:
    """Make ``root`` a label folder for ``info``, or check that it already is one of the same teacher."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / INDEX).exists():
        write_atomically(root / INDEX, json.dumps(asdict(info), indent=1).encode())
    found = read_info(root)
    if found != info:
        raise EdgevoiceError(
            f"{root} holds labels of {found.teacher} ({found.key[:12]}), "
            f"not of {info.teacher} ({info.key[:12]}); name another folder"
        )


def read_info(root: Path) -> LabelInfo:
    """What the folder says of itself."""
    try:
        return LabelInfo(**json.loads((root / INDEX).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise EdgevoiceError(f"{root} holds no labels; make them first") from None


def shard_path(root: Path, number: int) -> Path:
    return root / f"shard-{number:06d}.safetensors"


def write_shard(path: Path, key: str, rows: Sequence[tuple[str, int, Utterance]]) -> None:
    """Write utterances as (text, seed, fields) to one shard."""
    tensors = {
        f"{number}.{name}": np.ascontiguousarray(value)
        for number, (_, _, fields) in enumerate(rows)
        for name, value in fields.items()
    }
    if not tensors:
        tensors = {"empty": np.zeros(1, np.int16)}
    described = [
        {"text": text, "seed": seed, "frames": fields["latents"].shape[1]} for text, seed, fields in rows
    ]
    write_atomically(path, in_order(save(tensors, {"key": key, "rows": json.dumps(described)})))


def shard_is_whole(path: Path, key: str, with_audio: bool = True) -> bool:
    """Whether the shard is there and entire, audio included where that is asked for.

    A shard of another teacher is an error, a damaged one is not.
    """
    if not path.exists():
        return False
    try:
        metadata, names = _header(path)
    except EdgevoiceError:
        return False
    if metadata.get("key") != key:
        raise EdgevoiceError(f"{path} is of another teacher or other settings; name another folder")
    return not with_audio or all(f"{n}.audio" in names for n in range(len(json.loads(metadata["rows"]))))


def _header(path: Path) -> tuple[dict[str, str], set[str]]:
    """The shard's metadata, and the names of its tensors."""
    try:
        with safe_open(path, "numpy") as shard:
            return dict(shard.metadata() or {}), set(shard.keys())
    except (SafetensorError, OSError) as error:
        raise EdgevoiceError(f"{path} is damaged or half-written ({error}); label again to redo it") from None


class Labels:
    """All utterances of a label folder that are on disk now, in a fixed order."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        """``limit``: take only the first so many shards, so that a resumed run sees the same data."""
        self.root = root
        self.info = read_info(root)
        paths = sorted(root.glob("shard-*.safetensors"))[:limit]
        self.shards = len(paths)
        self.entries = [entry for path in paths for entry in self._entries(path)]
        if not self.entries:
            raise EdgevoiceError(f"{root} holds no labelled utterance yet; run the labelling first")
        self._open: dict[Path, Any] = {}

    def _entries(self, path: Path) -> list[Entry]:
        metadata, names = _header(path)
        if metadata.get("key") != self.info.key:
            raise EdgevoiceError(f"{path} was made by another teacher than {path.parent / INDEX}; remove it")
        rows = json.loads(metadata["rows"])
        return [
            Entry(path, n, row["text"], row["seed"], row["frames"], f"{n}.audio" in names)
            for n, row in enumerate(rows)
        ]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def with_audio(self) -> int:
        """Utterances whose audio is there."""
        return sum(entry.with_audio for entry in self.entries)

    def seconds(self, with_audio: int | None = None) -> float:
        """Speech in the folder; or in the first so many utterances whose audio is there."""
        counted = self.entries
        if with_audio is not None:
            counted = [entry for entry in self.entries if entry.with_audio][:with_audio]
        return sum(entry.frames for entry in counted) * self.info.hop / self.info.sample_rate

    def read(self, index: int, fields: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The named fields of one utterance, whole."""
        entry = self.entries[index]
        if "audio" in fields and not entry.with_audio:
            raise EdgevoiceError(
                f"{self.root} holds no audio of {entry.text!r}: label again without --with-audio"
            )
        shard = self._shard(entry.shard)
        try:
            return {name: shard.get_tensor(f"{entry.number}.{name}") for name in fields}
        except SafetensorError as error:
            raise EdgevoiceError(f"{self.root} holds labels of another kind of teacher: {error}") from None

    def cut(self, index: int, field: str, start: int, stop: int) -> NDArray[Any]:
        """``field[..., start:stop]`` without reading the rest; the range must lie inside."""
        entry = self.entries[index]
        part = self._shard(entry.shard).get_slice(f"{entry.number}.{field}")
        return part[:, start:stop] if len(part.get_shape()) == 2 else part[start:stop]  # type: ignore[no-any-return]

    def _shard(self, path: Path) -> Any:
        if path not in self._open:
            self._open[path] = safe_open(path, "numpy")
        return self._open[path]
