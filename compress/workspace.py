"""What a run has made so far, kept beside the bundle: a stopped run goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from edgevoice.bundle import sha256
from edgevoice.errors import EdgevoiceError

STATE = "made.json"
LOCK = "lock"


class Workspace:
    """A folder of results, each remembered with hashes of what it was made from and of its file.

    One run at a time. A result cut short by a lost power supply, or changed since, is made again.

    ``made_by``: the versions of what makes them, and a hash of our own files. Results that others made are
    removed, not used.
    """

    def __init__(self, folder: Path, made_by: Mapping[str, str] | None = None) -> None:
        self.folder, self._made_by = folder, dict(made_by or {})
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = lock(folder, "compress is at work in", "-o")
        except OSError as error:
            raise EdgevoiceError(f"cannot write to {folder.parent}: {error.strerror}") from None
        self._made = self._read_state()
        for left in folder.iterdir():
            if left.is_file() and left.name != LOCK and (not self._made or ".partial." in left.name):
                left.unlink()

    def inner(self, name: str) -> Workspace:
        """A workspace of its own inside this one, for results of the same names."""
        return Workspace(self.folder / name, self._made_by)

    def _read_state(self) -> dict[str, _Made]:
        try:
            state = json.loads((self.folder / STATE).read_text())
            if state["made_by"] != self._made_by or state["sha256"] != _hash(state["made"]):
                return {}
            return {name: _Made(**made) for name, made in state["made"].items()}
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def file(self, name: str, inputs: object, make: Callable[[Path], None]) -> Path:
        """The file ``name``, made by ``make(path)`` unless one of the same inputs is there, unchanged."""
        path, _ = self.noted(name, inputs, make)
        assert path is not None
        return path

    def noted(self, name: str, inputs: object, make: Callable[[Path], Any]) -> tuple[Path | None, Any]:
        """Like `file`, with what ``make`` returned, which JSON must hold; no path where it wrote no file."""
        path, key = self.folder / name, _hash(inputs)
        made = self._made.get(name)
        if made is not None and made.inputs == key and made.sha256 == _sha256(path):
            return (path if made.sha256 else None), made.note
        partial = path.with_name(f".partial.{name}")
        try:
            note = make(partial)
            if partial.is_file():
                _sync(partial)
                os.replace(partial, path)
            else:
                path.unlink(missing_ok=True)
        finally:
            partial.unlink(missing_ok=True)
        self._remember(name, _Made(key, _sha256(path), note))
        return (path if path.is_file() else None), note

    def data(self, name: str, inputs: object, make: Callable[[], Any]) -> Any:
        """Like `file` for what JSON can hold."""
        path = self.file(name, inputs, lambda path: _write(path, make()))
        return json.loads(path.read_text())

    def _remember(self, name: str, made: _Made) -> None:
        self._made[name] = made
        partial = self.folder / f".partial.{STATE}"
        made = json.loads(json.dumps({n: asdict(m) for n, m in self._made.items()}))
        _write(partial, {"made_by": self._made_by, "made": made, "sha256": _hash(made)})
        _sync(partial)
        os.replace(partial, self.folder / STATE)


@dataclass(frozen=True)
class _Made:
    """Hashes of what a result was made from and of its file, empty where there is none."""

    inputs: str
    sha256: str
    note: Any = None


def lock(folder: Path, who: str, option: str) -> IO[bytes]:
    """Held until it is closed or the process ends, however it ends."""
    stream = open(folder / LOCK, "ab")  # noqa: SIM115 - open while the run lasts
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise EdgevoiceError(f"another {who} {folder}: wait for it, or name another {option}") from None
    return stream


def _write(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True))


def _sync(path: Path) -> None:
    with open(path, "rb") as stream:
        os.fsync(stream.fileno())


def _sha256(path: Path) -> str:
    return sha256(path) if path.is_file() else ""


def _hash(inputs: object) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
