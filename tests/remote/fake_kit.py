"""A kit that installs in a second: edgevoice's own code, a self-test that likes everything whole, and a path to
the libraries of the environment that runs the tests. All the rest is real: lock file, hashes, venv, pip from its
wheel.
"""

from __future__ import annotations

import ensurepip
import os
import platform
import shutil
import sys
import sysconfig
import zipfile
from pathlib import Path

import edgevoice
import targets
from edgevoice.kit import install, make
from edgevoice.kit.device import Device

NAME = "edgevoice-0.1.0-py3-none-any.whl"

CONTENT = '''
from edgevoice import bundle
from edgevoice.deploy.selftest import Report


def run(folder, budget=None, **rest):
    """Fails for a voice of that name, else likes everything whole."""
    voice = bundle.read(folder).manifest.voice.name
    return Report(["the sound is nearly silent"] if "mute" in voice else [])
'''


def device() -> Device:
    """This machine."""
    return Device("{}.{}".format(*sys.version_info), platform.machine(), install.glibc())


def make_kit(folder: Path, mark: str = "", main: str = "") -> Path:
    """``mark``: makes a runtime of another name. ``main``: code instead of the command line."""
    folder.mkdir(parents=True)
    shutil.copyfile(pip_wheel(), folder / pip_wheel().name)
    content = {
        "edgevoice_tests.pth": sysconfig.get_path("purelib") + "\n",
        "edgevoice_tests_mark.py": f"# {mark}\n",
    }
    for package in (edgevoice, targets):
        home = Path(str(package.__file__)).parent
        for path in sorted(home.rglob("*")):
            if path.suffix in (".py", ".toml"):
                content[f"{home.name}/{path.relative_to(home).as_posix()}"] = path.read_text(encoding="utf-8")
    content["edgevoice/deploy/isolate.py"] = CONTENT
    if main:
        content["edgevoice/cli.py"] = main
    info = "edgevoice-0.1.0.dist-info"
    content[f"{info}/METADATA"] = "Metadata-Version: 2.1\nName: edgevoice\nVersion: 0.1.0\n"
    content[f"{info}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    content[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*content, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        for name, text in content.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    make.write_lock(folder, NAME, device())
    return folder


def pip_wheel() -> Path:
    """The one that Python brings; Debian keeps it elsewhere."""
    places = [Path(str(ensurepip.__file__)).parent / "_bundled", Path("/usr/share/python-wheels")]
    return next(path for place in places for path in place.glob("pip-*.whl"))


def base_python() -> str:
    """A Python that sees nothing of the environment that runs the tests."""
    name = "python{}.{}".format(*sys.version_info)
    return os.path.realpath(Path(sys.base_prefix) / "bin" / name)
