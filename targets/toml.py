"""Reads TOML: from the package's own data, and from a user's file with one clear line on what is wrong."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Any

from targets.errors import TargetError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# A profile is about 1 kB; a larger file is some other file, and not worth reading whole.
LARGEST_FILE = 256 * 1024


def packaged(name: str) -> dict[str, Any]:
    """A data file of this package, such as `"jetpacks.toml"` or `"profiles/cpu.toml"`."""
    path = resources.files("targets").joinpath(*name.split("/"))
    data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return data


def packaged_profiles() -> list[str]:
    """Names of the shipped profiles (file names without `.toml`), sorted."""
    folder = resources.files("targets").joinpath("profiles")
    return sorted(item.name[: -len(".toml")] for item in folder.iterdir() if item.name.endswith(".toml"))


def from_file(path: Path) -> dict[str, Any]:
    """A user's file; raises `TargetError` where it is missing, unreadable, no text or no TOML."""
    try:
        if path.is_dir():
            raise TargetError(f"{path} is a folder, not a target profile")
        with open(path, "rb") as stream:
            raw = stream.read(LARGEST_FILE + 1)  # a device has no size, and may never end
        if len(raw) > LARGEST_FILE:
            most = f"{LARGEST_FILE >> 10} KiB"
            raise TargetError(f"{path} has more than {most}: a target profile has a few hundred bytes")
        data: dict[str, Any] = tomllib.loads(raw.decode("utf-8"))
    except FileNotFoundError:
        raise TargetError(f"target profile {path} does not exist") from None
    except OSError as error:
        raise TargetError(f"target profile {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TargetError(f"target profile {path} is no text file") from None
    except RecursionError:
        raise TargetError(f"target profile {path} is nested too deeply") from None
    except ValueError as error:  # TOMLDecodeError is one; a number of thousands of digits is a plain one
        raise TargetError(f"target profile {path} is no valid TOML: {error}") from None
    return data
