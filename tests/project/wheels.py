"""Resolve the device's dependencies from wheels alone, for every Python and machine; print what resolves.

    python tests/project/wheels.py

Reaches the package registry, so it is a command (`make test-wheels`) and no test. pip evaluates environment
markers for the Python that runs it, not for the one asked about, hence the loop in `resolve`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
MACHINES = ("x86_64", "aarch64")
OLDEST_GLIBC, NEWEST_GLIBC = 17, 28  # 2.N; JetPack 6 has 2.35
EXTRAS = ("espeak",)


def main() -> int:
    wanted = list(product(PYTHONS, MACHINES))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: attempt(*pair), wanted))
    for (python, machine), (versions, problem) in zip(wanted, found, strict=True):
        print(f"Python {python} {machine}: {problem or ' '.join(f'{n} {v}' for n, v in versions.items())}")
    failed = sum(1 for _, problem in found if problem)
    print(f"{len(found) - failed} of {len(found)} resolve from wheels alone")
    return 1 if failed else 0


def attempt(python: str, machine: str) -> tuple[dict[str, str], str]:
    try:
        return resolve(python, machine), ""
    except subprocess.CalledProcessError as error:
        return {}, f"FAILED\n{error.stderr}"
    except subprocess.TimeoutExpired as error:
        return {}, f"FAILED: pip had no answer after {error.timeout:.0f} s"


def resolve(python: str, machine: str) -> dict[str, str]:
    """What ``pip install edgevoice[espeak]`` takes on that device, name to version."""
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    environment |= {"platform_machine": machine, "sys_platform": "linux", "extra": ""}
    requirements = {str(row): bare(row) for row in declared() if applies(row, environment)}
    while True:
        rows = [item["metadata"] for item in report(python, machine, list(requirements.values()))]
        have = {canonicalize_name(row["name"]): str(row["version"]) for row in rows}
        needed = [Requirement(text) for row in rows for text in row.get("requires_dist", ())]
        needed = [row for row in needed if applies(row, environment)]
        missing = {str(row): bare(row) for row in needed if canonicalize_name(row.name) not in have}
        if not missing:
            return dict(sorted(have.items()))
        requirements |= missing


def declared() -> list[Requirement]:
    path = Path(__file__).resolve().parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    lines = [
        *project["dependencies"],
        *(row for name in EXTRAS for row in project["optional-dependencies"][name]),
    ]
    return [Requirement(line) for line in lines]


def applies(requirement: Requirement, environment: dict[str, str]) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(environment)


def bare(requirement: Requirement) -> str:
    return str(requirement).partition(";")[0].strip()


def report(python: str, machine: str, requirements: list[str]) -> list[dict[str, Any]]:
    tags = [f"manylinux_2_{minor}_{machine}" for minor in range(OLDEST_GLIBC, NEWEST_GLIBC + 1)]
    platforms = [part for tag in [*tags, f"manylinux2014_{machine}"] for part in ("--platform", tag)]
    with tempfile.TemporaryDirectory() as nowhere:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-"]
        command += ["--target", nowhere, "--only-binary", ":all:", "--python-version", python]
        command += ["--implementation", "cp", *platforms, *requirements]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    installed: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return installed


if __name__ == "__main__":
    sys.exit(main())
