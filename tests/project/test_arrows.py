"""The import contracts of pyproject.toml hold what they say: each is broken on purpose in a copy."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ARROWS = "the arrows run one way"
DEVICE = "a device never imports the workstation's libraries"
TORCH = "torch stays with students, distillation and pruning"

VIOLATIONS = [
    ("targets/errors.py", "import edgevoice", ARROWS),
    ("edgevoice/errors.py", "import calibration", ARROWS),
    ("edgevoice/errors.py", "def late():\n    import compress", ARROWS),
    ("calibration/__init__.py", "import compress", ARROWS),
    ("edgevoice/errors.py", "def late():\n    import onnx", DEVICE),
    ("targets/errors.py", "from torch import nn", DEVICE),
    ("calibration/__init__.py", "import torch", TORCH),
    ("compress/teachers/__init__.py", "import torch_pruning", TORCH),
]


@pytest.mark.parametrize(("file", "line", "contract"), VIOLATIONS)
def test_a_violation_is_found(copied_tree: Path, tmp_path: Path, file: str, line: str, contract: str) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(copied_tree, tree)
    with open(tree / file, "a", encoding="utf-8") as module:
        module.write(f"\n\n{line}\n")
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool, "--no-cache"], cwd=tree, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"{contract} BROKEN" in done.stdout
