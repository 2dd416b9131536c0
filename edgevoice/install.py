"""The command that installs an extra, for messages: the same from a clone and from a wheel."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")


def command(extra: str) -> str:
    """``pip install`` with what the extra of that name holds: edgevoice itself is on no package index."""
    return f"pip install {' '.join(map(shlex.quote, packages(extra)))}"


def packages(extra: str) -> list[str]:
    """The requirements of an extra; those of another extra that it names count as its own."""
    try:
        lines = requires("edgevoice") or []
    except PackageNotFoundError:  # run from a folder of source files, never installed
        lines = []
    return list(dict.fromkeys(_of(extra, lines))) or [f".[{extra}]"]


def _of(extra: str, lines: list[str]) -> Iterator[str]:
    for line in lines:
        requirement, _, marker = line.partition(";")
        if extra not in _EXTRA.findall(marker):
            continue
        name = _NAME.match(requirement)
        if name and name.group() == "edgevoice":
            for other in re.findall(r"[\w-]+", requirement[name.end() :]):
                yield from _of(other, lines)
        else:
            yield requirement.strip()
