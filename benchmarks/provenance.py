"""Where a measurement comes from: machine, versions, state of the code, what was spoken with."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

from edgevoice import bundle
from edgevoice.runtime.find import find
from targets import host

ROOT = Path(__file__).resolve().parent.parent


def collect(threads: int, voice: Path | None, bundles: Sequence[Path]) -> dict[str, Any]:
    """Read before the runs, so that the load average is that of the others."""
    machine = host.read()
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": machine.cpu.model,
        "cpu_features": list(machine.cpu.features),
        "cpus": machine.cpus,
        "load_average": os.getloadavg()[0],
        "threads": threads,
        "python": platform.python_version(),
        "onnxruntime": version("onnxruntime"),
        "numpy": version("numpy"),
        "git": git(ROOT),
        "voice": {"name": voice.name, "sha256": _sha256(voice)} if voice else None,
        "bundles": {str(path.name): bundle.read(find(path), verify=False).id for path in bundles},
    }


def git(root: Path) -> str:
    """The commit, with "+" where tracked files differ from it."""
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", root, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _sha256(voice: Path) -> str:
    if voice.is_file():
        return bundle.sha256(voice)
    from compress.teachers import kokoro_files

    return kokoro_files.read(voice if voice.is_dir() else None).digest().hexdigest()


def lines(facts: dict[str, Any]) -> list[str]:
    """For people."""
    busy = facts["load_average"] > 0.5 * facts["cpus"]
    out = [
        f"{facts['date']}; {facts['cpu']}, {facts['cpus']} CPUs ({', '.join(facts['cpu_features'])})",
        f"{facts['threads']} thread(s); Python {facts['python']}, onnxruntime {facts['onnxruntime']}, "
        f"numpy {facts['numpy']}; git {facts['git']}; load average before: {facts['load_average']:.2f}",
    ]
    if facts["voice"]:
        out.append(f"voice {facts['voice']['name']} (SHA-256 {facts['voice']['sha256'][:16]})")
    out += [f"bundle {name} ({ident[:16]})" for name, ident in facts["bundles"].items()]
    if busy:
        out.append("Other work ran on this machine: read the CPU rows, wall times include waiting for it.")
    return out
