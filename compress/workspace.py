"""What a run has made so far, kept beside the bundle: a stopped run goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

from edgevoice.errors import EdgevoiceError

STATE = "made.json"
LOCK = "lock"


class Workspace:
    """A folder of results, each remembered with the hash of what it was made from; one run at a time.

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
        self._keys = self._read_state()
        for left in folder.iterdir():
            if left.is_file() and left.name != LOCK and (not self._keys or ".partial." in left.name):
                left.unlink()

    def inner(self, name: str) -> Workspace:
        """A workspace of its own inside this one, for results of the same names."""
        return Workspace(self.folder / name, self._made_by)

    def _read_state(self) -> dict[str, str]:
        try:
            state = json.loads((self.folder / STATE).read_text())
            return dict(state["keys"]) if state["made_by"] == self._made_by else {}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}

    def file(self, name: str, inputs: object, make: Callable[[Path], None]) -> Path:
        """The file ``name``, made by ``make(path)`` unless one of the same inputs is there."""
        path, key = self.folder / name, _hash(inputs)
        if self._keys.get(name) == key and path.is_file():
            return path
        partial = path.with_name(f".partial.{name}")
        try:
            make(partial)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
        self._remember(name, key)
        return path

    def data(self, name: str, inputs: object, make: Callable[[], Any]) -> Any:
        """Like `file` for what JSON can hold."""
        path = self.file(name, inputs, lambda path: _write(path, make()))
        return json.loads(path.read_text())

    def _remember(self, name: str, key: str) -> None:
        self._keys[name] = key
        partial = self.folder / f".partial.{STATE}"
        _write(partial, {"made_by": self._made_by, "keys": self._keys})
        os.replace(partial, self.folder / STATE)


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


def _hash(inputs: object) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
