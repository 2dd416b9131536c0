"""``ROOT/update.toml``."""

from __future__ import annotations

import os
import pwd
import stat
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from edgevoice.errors import EdgevoiceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NAME = "update.toml"

_HTTPS, _OTHER_SCHEMES = "https", ("http", "ftp", "file", "ssh")


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``source``: a pack's HTTPS address, or the path of a pack, a bundle, or a folder that holds one."""

    source: str
    require_signature: bool = True
    ca_file: str | None = None
    most_megabytes: Annotated[int, msgspec.Meta(ge=1)] = 2000

    @property
    def is_address(self) -> bool:
        return urlsplit(self.source).scheme == _HTTPS


def read(root: Path) -> Config:
    """What the device was told. Raises `EdgevoiceError` where updates are off, and for what is no sense."""
    path = root / NAME
    try:
        _refuse_writers(path)
        config = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Config)
    except FileNotFoundError:
        raise EdgevoiceError(
            f'updates are off: write {path} with a line such as source = "/media/stick"'
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise EdgevoiceError(f"{path}: {error}") from None
    except OSError as error:
        raise EdgevoiceError(f"cannot read {path}: {error.strerror}") from None
    _check_source(config.source, path)
    return config


def refuse_root_over_a_users_folder(root: Path) -> None:
    """Whoever owns the folder could have root write elsewhere, by a link put in its way."""
    owner = root.stat().st_uid
    if os.geteuid() == 0 and owner != 0:
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise EdgevoiceError(
            f"{root} belongs to {name}, so root does not update it: sudo -u {name} edgevoice update {root}"
        )


def _refuse_writers(path: Path) -> None:
    found = path.stat()
    if found.st_uid not in (0, os.geteuid()) or found.st_mode & stat.S_IWOTH:
        raise EdgevoiceError(f"{path} can be written by others: chown it to who runs this, and chmod o-w")


def _check_source(source: str, path: Path) -> None:
    parts = urlsplit(source)
    if parts.scheme in _OTHER_SCHEMES:
        raise EdgevoiceError(f"{path}: {source} is not read: give an https:// address or a path")
    if parts.scheme == _HTTPS:
        if not parts.hostname or "@" in parts.netloc or not source.isascii() or any(map(str.isspace, source)):
            raise EdgevoiceError(
                f"{path}: {source!r} is no address: write https://HOST/FILE, without a password"
            )
    elif not source.startswith("/"):
        raise EdgevoiceError(f"{path}: {source!r} is no whole path: it must begin with / or https://")
