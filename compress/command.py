"""How our programs that are started by ``python -m`` end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgevoice.errors import EdgevoiceError


@contextmanager
def one_line() -> Iterator[None]:
    """An `EdgevoiceError` becomes one line on stderr and status 2."""
    try:
        yield
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
