"""A kit that installs in a second: edgevoice's own code with a self-test that likes everything whole.

A path leads to the libraries of the environment that runs the tests. All the rest is real: lock file, hashes,
venv, pip from its wheel.
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
import time

from edgevoice import bundle
from edgevoice.deploy.selftest import Report


def run(folder, *_, **rest):
    """Fails for a voice called mute and waits for one called slow, else likes everything whole."""
    voice = bundle.read(folder).manifest.voice.name
    while "slow" in voice and not (folder.parents[1] / "go").exists():
        time.sleep(0.05)
    return Report(["the sound is nearly silent"] if "mute" in voice else [])
'''


# The same verbs without the command line's libraries and numpy: they run a hundred times.
REPORT = """
import msgspec


class Report(msgspec.Struct):
    problems: list[str]
"""
LIGHT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from edgevoice.deploy import local
from edgevoice.deploy.layout import Folder
from edgevoice.deploy.trial import deploying
from edgevoice.errors import EdgevoiceError

VERBS = {
    "deploy": lambda bundle, root, *rest: deploy(bundle, root),
    "rollback": lambda root, *rest: local.rollback(root),
    "status": lambda root, *rest: local.status(root),
    "releases": lambda root, *rest: local.releases(root),
}


def deploy(bundle, root):
    # As the command does it: the folder itself is locked too, for the service to see.
    with deploying(Folder(Path(root))):
        return local.deploy(bundle, root)


def main():
    if sys.argv[1] == "--version":
        return print("0.1.0")
    try:
        done = VERBS[sys.argv[1]](*sys.argv[2:])
    except EdgevoiceError as error:
        print(json.dumps({"error": str(error)}))
        sys.exit(f"error: {error}")
    rows = [asdict(row) for row in done] if isinstance(done, list) else asdict(done)
    print(json.dumps(rows, default=str))
"""


def device() -> Device:
    """This machine."""
    return Device("{}.{}".format(*sys.version_info), platform.machine(), install.glibc())


def make_kit(
    folder: Path, mark: str = "", needs: str = "", light: bool = True, more: dict[str, str] | None = None
) -> Path:
    """``mark``: makes a runtime of another name. ``needs``: a requirement. ``more``: code at a file's end.

    ``light``: without typer, and without what a voice needs to speak.
    """
    folder.mkdir(parents=True)
    shutil.copyfile(pip_wheel(), folder / pip_wheel().name)
    content: dict[str, str | bytes] = {
        "edgevoice_tests.pth": sysconfig.get_path("purelib") + "\n",
        "edgevoice_tests_mark.py": f"# {mark}\n",
    }
    for package in (edgevoice, targets):
        home = Path(str(package.__file__)).parent
        for path in sorted(home.rglob("*")):
            if path.suffix in (".py", ".toml") or (not light and path.parent.name == "data"):
                content[f"{home.name}/{path.relative_to(home).as_posix()}"] = path.read_bytes()
    content["edgevoice/deploy/isolate.py"] = CONTENT
    if light:
        content["edgevoice/cli.py"] = LIGHT
        content["edgevoice/deploy/selftest.py"] = REPORT
    for name, code in (more or {}).items():
        content[name] = (Path(str(edgevoice.__file__)).parents[1] / name).read_text(encoding="utf-8") + code
    info = "edgevoice-0.1.0.dist-info"
    required = f"Requires-Dist: {needs}\n" if needs else ""
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: edgevoice\nVersion: 0.1.0\n{required}"
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
