"""Finds model files inside installed packages, checks them, and never downloads.

The recogniser and the speaker encoder are re-uploads by third parties, so each file's hash is pinned: another
file under the same name would move every figure without a word.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

from edgevoice import install
from edgevoice.errors import EdgevoiceError

INSTALL = install.command("quality")


@cache
def package_file(package: str, inside: str, sha256: str, install: str = INSTALL) -> Path:
    """Path of ``inside`` within the installed ``package``, which is not imported; refused if its hash
    differs."""
    spec = importlib.util.find_spec(package)
    roots = list(spec.submodule_search_locations or []) if spec else []
    found = [Path(root) / inside for root in roots if (Path(root) / inside).is_file()]
    if not found:
        raise EdgevoiceError(f"this measure needs the model {inside} of the package {package}: {install}")
    actual = hashlib.sha256(found[0].read_bytes()).hexdigest()
    if actual != sha256:
        raise EdgevoiceError(
            f"{found[0].name} of the package {package} is another file than the figures here were made with "
            f"(sha256 {actual[:12]}, expected {sha256[:12]}): reinstall it with {install}"
        )
    return found[0]


def needed(module: str, install: str = INSTALL) -> ModuleType:
    """Import ``module`` or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise EdgevoiceError(f"this measure needs {module.split('.')[0]} ({error}): {install}") from error


def installed(package: str) -> bool:
    """Whether ``package`` can be found, without importing it."""
    return importlib.util.find_spec(package) is not None
