"""What a device installs works without the workstation's libraries."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

WORKSTATION = (
    "torch",
    "onnx",
    "onnx_graphsurgeon",
    "lightning_fabric",
    "torch_pruning",
    "scipy",
    "compress",
    "calibration",
)

IMPORTED = """
import sys
import edgevoice, targets
from edgevoice.cli import main
sys.argv = ["edgevoice", "--help"]
try:
    main()
except SystemExit as done:
    assert not done.code, done.code
print("loaded:", *sorted(sys.modules), file=sys.stderr)
"""


def test_importing_and_help_load_no_workstation_library() -> None:
    """Here all of them are installed, so only restraint keeps them out."""
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(done.stderr.rpartition("loaded: ")[2].split())
    assert {"edgevoice", "targets"} <= loaded
    assert loaded.isdisjoint(WORKSTATION)


@pytest.mark.packaging
class TestInAnEmptyEnvironment:
    def test_none_of_them_is_installed(self, empty_venv: Path) -> None:
        found = "import importlib.util as u, sys; print(*[n for n in sys.argv[1:] if u.find_spec(n)])"
        installed = run(empty_venv, "python", "-c", found, "onnxruntime", *WORKSTATION - OURS).stdout.split()
        assert installed == ["onnxruntime"]

    def test_import_and_help(self, empty_venv: Path) -> None:
        done = run(empty_venv, "python", "-c", IMPORTED)
        assert done.returncode == 0, done.stderr
        assert "say" in done.stdout

    def test_compress_says_what_to_install(self, empty_venv: Path, tmp_path: Path) -> None:
        voice = tmp_path / "voice.onnx"
        voice.write_bytes(b"")
        wanted = ("--target", "cpu", "--recipe", "quantize", "-o", "out")
        done = run(empty_venv, "edgevoice", "compress", str(voice), *wanted, cwd=tmp_path)
        assert done.returncode == 2, done.stdout + done.stderr
        (line,) = done.stderr.strip().splitlines()
        assert re.search(r"pip install ['\"]?edgevoice\[compress\]", line)
        assert list(tmp_path.iterdir()) == [voice]


def run(
    bin_folder: Path, command: str, *arguments: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bin_folder / command, *arguments], capture_output=True, text=True, cwd=cwd or bin_folder
    )
