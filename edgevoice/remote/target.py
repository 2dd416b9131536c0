"""Where a deploy goes: to a host (``USER@HOST[:ROOT]``, ``ssh://[USER@]HOST[:PORT][/ROOT]``) or a folder."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from edgevoice.errors import EdgevoiceError

DEFAULT_ROOT = "edgevoice"

_USER = r"[A-Za-z0-9_][A-Za-z0-9._-]*\$?"
_NAME = r"[A-Za-z0-9_][A-Za-z0-9._%-]*"
_HOST = rf"(?:{_NAME}|\[[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?\])"
_SCP = re.compile(rf"({_USER})@({_HOST})(?::(.*))?\Z", re.DOTALL)
_URL = re.compile(rf"ssh://(?:({_USER})@)?({_HOST})(?::([0-9]+))?(?:/(.*))?\Z", re.DOTALL)
_MAYBE_HOST = re.compile(rf"{_HOST}:")


@dataclass(frozen=True)
class Host:
    """``address``: what ssh is given. ``root``: the folder there; a relative one lies in the user's home."""

    address: str
    root: str = DEFAULT_ROOT
    port: int | None = None

    def __str__(self) -> str:
        return f"{self.address}:{self.root}"


def parse(target: str) -> Host | None:
    """The host that ``target`` names; None for a local folder. Raises `EdgevoiceError` if it is unclear."""
    if target.startswith("ssh://"):
        return _from_url(target)
    if "@" in target.partition("/")[0]:
        return _from_scp(target)
    if _MAYBE_HOST.match(target) and not os.path.exists(target):
        rest = target.partition(":")[2]
        raise EdgevoiceError(
            f"{target!r} may be a host or a folder: write USER@{target} or ssh://{_as_url(target, rest)} "
            f"for the host, ./{target} for the folder"
        )
    return None


def _as_url(target: str, root: str) -> str:
    return target.partition(":")[0] + (root if root.startswith("/") else f"/~/{root}")


def _from_scp(target: str) -> Host:
    found = _SCP.match(target)
    if not found:
        raise EdgevoiceError(f"{target!r} names no host: write USER@HOST or USER@HOST:FOLDER")
    if os.path.isdir(target):
        raise EdgevoiceError(
            f"{target!r} names a host, and there is such a folder: write ./{target} for the folder"
        )
    return Host(f"{found[1]}@{_unbracket(found[2])}", _root(found[3], target))


def _from_url(target: str) -> Host:
    found = _URL.match(target)
    if not found:
        raise EdgevoiceError(
            f"{target!r} is no address: write ssh://USER@HOST[:PORT]/FOLDER, without a password"
        )
    port = int(found[3]) if found[3] else None
    if port is not None and not 0 < port < 65536:
        raise EdgevoiceError(f"{target!r}: there is no port {port}")
    path = found[4]
    if path and not path.startswith("~"):
        path = f"/{path}"
    user = f"{found[1]}@" if found[1] else ""
    return Host(user + _unbracket(found[2]), _root(path, target), port)


def _root(path: str | None, target: str) -> str:
    root = (path or DEFAULT_ROOT).rstrip("/") or "/"
    if root.startswith("~/"):
        root = root[2:]
    if root in ("/", "~", ".") or root.startswith("~"):
        raise EdgevoiceError(f"{target!r}: name a folder of its own, such as /opt/voice")
    if not root.isprintable():
        raise EdgevoiceError(f"{target!r}: the folder's name holds characters that cannot be printed")
    return root


def _unbracket(host: str) -> str:
    return host.strip("[]")
