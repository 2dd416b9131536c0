"""Files written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edgevoice.errors import EdgevoiceError


class CannotWrite(EdgevoiceError):
    """The disk is full or read-only: no fault of what was to be written, which may do another time."""


@contextmanager
def atomic(path: str | Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of ``path``, synced, when the block ends; gone where that fails.

    Raises `CannotWrite`.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise CannotWrite(f"{target} cannot be written: {error.strerror or error}") from error
