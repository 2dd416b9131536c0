"""What a device is and has, read from files: nothing is loaded, no driver is touched, nothing is written."""

from __future__ import annotations

import fcntl
import glob
import importlib.util
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from edgevoice.kit import install

PACKAGES = ("nvidia-jetpack", "libnvinfer10", "libnvinfer8")


def read(root: Path) -> dict[str, Any]:
    """Everything that a preflight judges, in plain JSON types; sizes in bytes."""
    place = _existing(root)
    disk = os.statvfs(place)
    packages = _packages()
    return {
        "python": list(sys.version_info[:3]),
        "executable": sys.executable,
        "venv": importlib.util.find_spec("venv") is not None,
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 1 << 32 else 32,
        "glibc": install.glibc(),
        "system": _system(),
        "user": _user(),
        "board": _text("/proc/device-tree/model"),
        "tegra": _text("/etc/nv_tegra_release").partition("\n")[0],
        "cards": [_text(path) for path in sorted(glob.glob("/proc/driver/nvidia/gpus/*/information"))],
        "jetpack": packages.get("nvidia-jetpack", ""),
        "tensorrt": packages.get("libnvinfer10") or packages.get("libnvinfer8") or "",
        "cuda": _cuda(),
        "memory": _memory(),
        "disk": {
            "path": str(place),
            "free": disk.f_bavail * disk.f_frsize,
            "inodes": disk.f_favail if disk.f_files else -1,
            "read_only": bool(disk.f_flag & os.ST_RDONLY),
            "writable": os.access(place, os.W_OK | os.X_OK),
            "no_exec": bool(disk.f_flag & getattr(os, "ST_NOEXEC", 8)),
        },
        "clock": time.time(),
        "audio": re.findall(r"^ *\d+ \[.*?\]: (.*)$", _text("/proc/asound/cards"), re.MULTILINE),
        "root": installed(root),
    }


def installed(root: Path) -> dict[str, Any]:
    """What lies in the deployed folder now."""
    entries = sorted(os.listdir(root)) if root.is_dir() and os.access(root, os.R_OK) else []
    runtimes = sorted((root / "runtimes").glob("*/complete")) if "runtimes" in entries else []
    try:
        current = os.path.basename(os.readlink(root / "current"))
    except OSError:
        current = ""
    return {
        "path": str(root),
        "exists": os.path.lexists(root),
        "folder": root.is_dir(),
        "foreign": install.MARK not in entries and bool(set(entries) - install.BESIDE),
        "current": current,
        "runtimes": [path.parent.name for path in runtimes],
        "launcher": (root / "bin" / "edgevoice").is_file(),
        "busy": _busy(root / install.SESSION, root / install.MARK, root),
    }


def _busy(*places: Path) -> bool:
    """Whether a deploy, or what one that was killed has left running, holds the folder now."""
    for place in places:
        try:
            descriptor = os.open(place, os.O_RDONLY)
        except OSError:
            continue
        try:
            if not install.try_lock(descriptor, fcntl.LOCK_SH):
                return True
        finally:
            os.close(descriptor)
    return False


def _existing(path: Path) -> Path:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path


def _text(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return stream.read(1 << 16).decode("utf-8", "replace").strip("\0 \n")
    except OSError:
        return ""


def _system() -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', _text("/etc/os-release"), re.MULTILINE)
    return found.group(1) if found else platform.platform()


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _memory() -> dict[str, int]:
    found = dict(re.findall(r"^(\w+):\s+(\d+) kB", _text("/proc/meminfo"), re.MULTILINE))
    available = found.get("MemAvailable") or found.get("MemFree") or "0"
    return {"total": int(found.get("MemTotal", "0")) * 1024, "available": int(available) * 1024}


def _cuda() -> str:
    found = re.search(r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"([^"]+)"', _text("/usr/local/cuda/version.json"))
    return found.group(1) if found else ""


def _packages() -> dict[str, str]:
    """Versions of the system's packages, where it has Debian's."""
    if not shutil.which("dpkg-query"):
        return {}
    command = ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n", *PACKAGES]
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    try:
        done = subprocess.run(command, timeout=30, **quiet)  # type: ignore[call-overload]
    except (OSError, subprocess.TimeoutExpired):
        return {}
    rows = (line.split(" ", 2) for line in done.stdout.decode("utf-8", "replace").splitlines())
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[0] == "installed"}
