"""Download what a device needs, as wheels for its Python and machine, by the pip of this workstation.

pip evaluates environment markers for the Python that runs it, not for the one asked about. So what the chosen
wheels require is looked at here, with the device's markers, until nothing is missing.
"""

from __future__ import annotations

import subprocess
import sys
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from edgevoice.errors import EdgevoiceError
from edgevoice.kit.device import Device
from edgevoice.kit.install import WHEEL, last_line

if TYPE_CHECKING:
    from packaging.requirements import Requirement

ROUNDS = 8
PIP_SECONDS = 3600
PIP = "pip>=22.3"


def download(own: Path, extras: list[str], device: Device, folder: Path) -> None:
    """Fill ``folder`` with the wheels that the wheel ``own`` and its ``extras`` need there, and pip's.

    Raises `EdgevoiceError` where a package has no wheel for that device, or nothing can be downloaded.
    """
    wanted = {PIP, *requirements(own, device, extras)}
    for _ in range(ROUNDS):
        for stale in folder.glob("*.whl"):
            stale.unlink()
        _pip(device, folder, sorted(wanted), [])
        have = {_canonical(path.name) for path in folder.glob("*.whl")}
        needs = {text for path in folder.glob("*.whl") for text in requirements(path, device, [])}
        missing = {text for text in needs if _canonical(_name(text)) not in have}
        if not missing:
            return
        wanted |= missing
    raise EdgevoiceError(
        f"the wheels for Python {device.python} require ever more: {', '.join(sorted(missing))}"
    )


def download_pinned(requirements: str, device: Device, folder: Path) -> None:
    """Download exactly the versions and hashes that an earlier kit holds (pip's requirements format)."""
    listed = folder / "requirements.txt"
    listed.write_text(requirements, encoding="utf-8")
    try:
        _pip(device, folder, ["--require-hashes", "--requirement", str(listed)], ["--no-deps"])
    finally:
        listed.unlink()


def _pip(device: Device, folder: Path, wanted: list[str], options: list[str]) -> None:
    if find_spec("pip") is None:
        raise EdgevoiceError(
            f"{sys.executable} has no pip to download wheels with: run `python -m ensurepip`"
        )
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
    ]
    command += ["--only-binary", ":all:", "--implementation", "cp", "--python-version", device.python]
    command += [word for name in device.platforms for word in ("--platform", name)]
    command += [*options, "--dest", str(folder), *wanted]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PIP_SECONDS)
    if done.returncode:
        raise EdgevoiceError(
            f"no wheels for Python {device.python} on {device.machine}: {last_line(done.stderr)}; "
            "this needs a package index once: connect, or name a kit made elsewhere with --kit"
        )


def requirements(wheel: Path, device: Device, extras: list[str]) -> list[str]:
    """What a wheel and its ``extras`` ask for on ``device``, without markers: pip would ask this Python."""
    from packaging.requirements import Requirement

    try:
        with ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            lines = Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []
    except (BadZipFile, ValueError, OSError) as error:
        raise EdgevoiceError(f"{wheel.name} is no wheel ({error}): download it again") from None
    return [_bare(row) for row in map(Requirement, lines) if _applies(row, device, extras)]


def _applies(row: Requirement, device: Device, extras: list[str]) -> bool:
    if row.marker is None:
        return True
    return any(row.marker.evaluate({**device.markers, "extra": extra}) for extra in ["", *extras])


def _bare(row: Requirement) -> str:
    extras = f"[{','.join(sorted(row.extras))}]" if row.extras else ""
    return f"{row.name}{extras}{row.specifier}"


def _name(requirement: str) -> str:
    from packaging.requirements import Requirement

    return Requirement(requirement).name


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    found = WHEEL.match(name)
    return canonicalize_name(found[1] if found else name)
