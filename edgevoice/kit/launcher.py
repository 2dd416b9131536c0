"""What a process of a kit's runtime knows of it: how to be started anew, and whose voice it is."""

from __future__ import annotations

import sys
from pathlib import Path

from edgevoice.kit import install


def command(root: Path) -> list[str] | None:
    """``ROOT/bin/edgevoice``, which takes the runtime of the release that speaks then.

    None where this process does not run from a runtime of ``root``: then its own interpreter is the way.
    """
    launcher, home = root / "bin" / "edgevoice", Path(sys.prefix)
    if not launcher.is_file() or home.parent.name != "runtimes":
        return None
    return [str(launcher)] if home.parent.parent.resolve() == root.resolve() else None


def bind(root: Path, release: str) -> None:
    """Have ``release`` speak with the runtime that runs here and has heard it, if that is one of ``root``."""
    if command(root) is not None:
        install.bind(root, release, Path(sys.prefix))
