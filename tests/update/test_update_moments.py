"""An update that is killed leaves a whole release speaking, and the next one goes through."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from deploy.deploy_bundles import content, name_of
from signing.signing_keys import signed

from edgevoice.deploy import local
from edgevoice.pack.make import pack

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LEFT = {"current", "edgevoice.lock", "keys", "releases", "state.json", "update.toml"}


def test_killed_at_a_dozen_steps_it_leaves_a_whole_release(root: Path, key: Path, tmp_path: Path) -> None:
    old, new = signed(tmp_path, "old", key, 1), signed(tmp_path, "new", key, 2, vocoder=1)
    local.deploy(signed(tmp_path, "older", key, 1, encoder=3), root, self_test=content)
    local.deploy(old, root, self_test=content)
    file = pack(new, tmp_path / "new.edgevoice").path
    (root / "update.toml").write_text(f'source = "{file}"\n')
    work = tmp_path / "work"
    work.mkdir()
    ran = subprocess.run(
        [sys.executable, str(HERE / "update_moments.py"), str(root), str(work)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=600,
        env={
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE.parent, HERE.parent / "deploy"))),
        },
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["steps"] > 40
    assert len(found["rows"]) > 10
    for row in found["rows"]:
        assert row["status"] == signal.SIGKILL, row
        assert row["spoke"] in (name_of(old), name_of(new)), row
        assert (row["again"], row["ends"]) == (0, name_of(new)), row
        # Killed after its switch it was through, so the next update finds nothing to do, nor to tidy.
        assert set(row["left"]) - {"staging"} == LEFT, row
    assert {row["spoke"] for row in found["rows"]} == {name_of(old), name_of(new)}
