"""How to start edgevoice anew from a process of a kit's runtime."""

from __future__ import annotations

import sys
from pathlib import Path


def command(root: Path) -> list[str] | None:
    """``ROOT/bin/edgevoice``, which takes the runtime of the release that speaks then.

    None where this process does not run from a runtime of ``root``: then its own interpreter is the way.
    """
    launcher, home = root / "bin" / "edgevoice", Path(sys.prefix)
    if not launcher.is_file() or home.parent.name != "runtimes":
        return None
    return [str(launcher)] if home.parent.parent.resolve() == root.resolve() else None
