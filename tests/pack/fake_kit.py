"""Stands in for a kit's installer: its runtime is the Python that runs the test."""

import subprocess
import sys


class InstallError(Exception):
    pass


def claim(root):
    root.mkdir(parents=True, exist_ok=True)
    (root / "edgevoice.lock").touch()


def install(kit, root):
    names = sorted(path.name for path in kit.iterdir())
    if names != ["a.whl", "install.py", "kit.json"]:
        raise InstallError(f"the kit holds {names}")
    return root


def deploy(root, home, bundle, arguments):
    code = "from edgevoice.cli import main; main()"
    command = [sys.executable, "-c", code, "deploy", str(bundle), str(root), "--json", *arguments]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)


def last_line(output):
    return output.decode().strip().rpartition("\n")[2]
