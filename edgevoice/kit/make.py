"""Make a kit on the workstation, check one, and keep those made for `edgevoice deploy` at hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.kit import install, resolve, wheel
from edgevoice.kit.device import OLDEST_GLIBC, Device, needed_glibc

KEPT = 4


@dataclass(frozen=True)
class Kit:
    """A checked kit. ``runtime``: the name of what is installed from it. ``wheels``: name to SHA-256."""

    path: Path
    runtime: str
    device: Device
    wheels: dict[str, str]
    bytes: int


def read(path: str | Path) -> Kit:
    """Read the kit in folder ``path`` and check every file of it. Raises `EdgevoiceError`."""
    folder = Path(path)
    try:
        lock, runtime = install.read_lock(folder)
        for name, record in lock["wheels"].items():
            place = folder / name
            if place.is_symlink() or not place.is_file():
                raise EdgevoiceError(f"{place} is missing or no plain file: make or copy the kit again")
            if place.stat().st_size != record["bytes"] or install.sha256(place) != record["sha256"]:
                raise EdgevoiceError(f"{place} was changed or cut short: make or copy the kit again")
    except install.InstallError as error:
        raise EdgevoiceError(str(error)) from None
    except OSError as error:
        raise EdgevoiceError(f"cannot read {error.filename or folder}: {error.strerror}") from None
    wheels = {name: record["sha256"] for name, record in lock["wheels"].items()}
    size = sum(record["bytes"] for record in lock["wheels"].values())
    return Kit(folder, runtime, Device(lock["python"], lock["machine"], lock["glibc"]), wheels, size)


def make(
    path: str | Path, device: Device, extras: tuple[str, ...] = (), lock: str | Path | None = None
) -> Kit:
    """Write a kit for ``device`` to folder ``path``: all of it or nothing.

    ``extras``: of edgevoice's own, such as ``espeak``. ``lock``: an earlier kit whose versions and hashes are
    taken instead of the newest ones. Raises `EdgevoiceError` where a wheel cannot be had, and for a ``path``
    that holds something else than an older kit.
    """
    target = Path(path).absolute()
    if target.exists() and not (target / install.LOCK).is_file():
        raise EdgevoiceError(f"{target} exists and is no kit: name another folder or remove it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.new-", dir=target.parent) as work:
            new = Path(work) / "kit"
            new.mkdir()
            _fill(new, device, list(extras), lock)
            bundle.replace_folder(new, target)
    except OSError as error:
        raise EdgevoiceError(f"cannot write {target}: {error.strerror or error}") from None
    return read(target)


def _fill(folder: Path, device: Device, extras: list[str], lock: str | Path | None) -> None:
    if lock is None:
        with tempfile.TemporaryDirectory() as away:  # pip must not take it for one of the downloaded
            resolve.download(wheel.make(Path(away)), extras, device, folder)
    else:
        resolve.download_pinned(pinned(Path(lock), device), device, folder)
    own = wheel.make(folder)
    write_lock(folder, own.name, device)


def write_lock(folder: Path, own: str, device: Device) -> None:
    """Pin what lies in ``folder``: wheels of which ``own`` is edgevoice's; adds the installer."""
    names = sorted(path.name for path in folder.glob("*.whl"))
    minors = [OLDEST_GLIBC, *map(needed_glibc, names)]
    lock: dict[str, Any] = {
        "schema": install.SCHEMA,
        "python": device.python,
        "machine": device.machine,
        "glibc": f"2.{max(minors)}",
        "edgevoice": own,
        "pip": next(name for name in names if name.startswith("pip-")),
        "wheels": {
            name: {"sha256": install.sha256(folder / name), "bytes": (folder / name).stat().st_size}
            for name in names
        },
    }
    (folder / install.LOCK).write_text(json.dumps(lock, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    shutil.copyfile(install.__file__, folder / "install.py")
    folder.chmod(0o755)


def pinned(path: Path, device: Device) -> str:
    """An earlier kit's lock as pip's requirements, edgevoice itself left out: it is made anew."""
    try:
        lock, _ = install.read_lock(path if path.is_dir() else path.parent)
    except install.InstallError as error:
        raise EdgevoiceError(str(error)) from None
    if (lock["python"], lock["machine"]) != (device.python, device.machine):
        raise EdgevoiceError(
            f"{path} pins wheels for Python {lock['python']} on {lock['machine']}, "
            f"not for Python {device.python} on {device.machine}"
        )
    rows = {name: record for name, record in lock["wheels"].items() if name != lock["edgevoice"]}
    return "".join(install.requirement(name, record) for name, record in rows.items())


def extras_for(phonemizers: list[str]) -> tuple[str, ...]:
    """espeak-ng (GPL) travels only where the voice speaks by it and this user has installed it too."""
    chosen = "espeak" in phonemizers and find_spec("espeakng_loader") is not None
    return ("espeak",) if chosen else ()


def at_hand(device: Device, extras: tuple[str, ...]) -> Kit:
    """The kit for ``device`` and the code that runs here: made once, then kept in the user's cache."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgevoice" / "kits"
    with tempfile.TemporaryDirectory() as away:
        own = install.sha256(wheel.make(Path(away)))
    asked = f"{own} {device.python} {device.machine} {device.glibc} {extras}"
    place = home / hashlib.sha256(asked.encode()).hexdigest()[:16]
    try:
        kit = read(place)
    except EdgevoiceError:
        shutil.rmtree(place, ignore_errors=True)
        kit = make(place, device, extras)
    os.utime(place)
    for old in sorted(home.glob("????????????????"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return kit
