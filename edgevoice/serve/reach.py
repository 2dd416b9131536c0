"""Whether a user could reach a file, from the modes of the folders above it."""

from __future__ import annotations

import grp
import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from edgevoice.errors import EdgevoiceError


@dataclass(frozen=True)
class Person:
    """``user``: None is one that owns nothing yet."""

    name: str
    user: int | None
    groups: frozenset[int]


@dataclass(frozen=True)
class Owner:
    name: str
    group: str


def owner(path: Path) -> Owner | None:
    """Who owns ``path`` and their first group; None for root, and for numbers without a name."""
    number = path.stat().st_uid
    if number == 0:
        return None
    try:
        entry = pwd.getpwuid(number)
        return Owner(entry.pw_name, grp.getgrgid(entry.pw_gid).gr_name)
    except KeyError:
        return None


def person(user: str | None, group: str | None) -> Person:
    """Raises `EdgevoiceError` for a user or a group that is not there."""
    groups = set()
    if group is not None:
        try:
            groups.add(grp.getgrnam(group).gr_gid)
        except KeyError:
            raise EdgevoiceError(f"there is no group {group!r} here: name one that exists") from None
    if user is None:
        return Person("the service's own user", None, frozenset(groups))
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise EdgevoiceError(f"there is no user {user!r} here: name one that exists") from None
    groups |= {entry.pw_gid, *os.getgrouplist(user, entry.pw_gid)}
    return Person(user, entry.pw_uid, frozenset(groups))


def closed_to(path: Path, who: Person) -> Path | None:
    """The first folder on the way to ``path``, or itself, that ``who`` may not enter or read."""
    if who.user == 0:
        return None
    for place in [*reversed(path.parents), path]:
        if not _may(place, who, 0o1 if place != path or path.is_dir() else 0o4):
            return place
    return None


def _may(place: Path, who: Person, bit: int) -> bool:
    found = place.stat()
    if found.st_uid == who.user:
        bit <<= 6
    elif found.st_gid in who.groups:
        bit <<= 3
    return bool(found.st_mode & bit)
