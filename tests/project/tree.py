"""The project's own files, for tests that look at all of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("edgevoice", "compress", "calibration", "targets")

_MADE = {"__pycache__", "build", "dist"}


def files(root: Path = ROOT) -> list[Path]:
    """Every file that is or may be committed, relative to ``root``; generated ones are left out."""
    command = ["git", "-C", str(root), "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive, or no git
        return _walk(root)
    found = sorted({Path(os.fsdecode(name)) for name in listed.split(b"\0") if name})
    return [path for path in found if (root / path).is_file()]


def sources(root: Path = ROOT) -> list[Path]:
    """The files of the four packages, relative to ``root``."""
    return [path for path in files(root) if path.parts[0] in PACKAGES]


def _walk(root: Path) -> list[Path]:
    found = []
    for folder, names, plain in os.walk(root):
        names[:] = [name for name in names if name not in _MADE and not name.startswith(".")]
        names[:] = [name for name in names if not name.endswith(".egg-info")]
        found += [(Path(folder) / name).relative_to(root) for name in plain]
    return sorted(found)
