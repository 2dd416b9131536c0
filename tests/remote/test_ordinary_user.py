"""Where root runs the tests: SSH once more as an ordinary user, in its own environment, without a network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from remote import sshd

HERE = Path(__file__).parent
ORDINARY = [sys.executable, str(HERE / "ordinary.py")]
TESTS = (
    "test_a_first_deploy_sends_all_and_speaks",
    "test_a_second_deploy_sends_nothing",
    "test_only_a_changed_stage_and_the_manifest_are_sent",
    "test_a_folder_that_the_user_may_not_write_to",
)


def run(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    home.mkdir()
    return subprocess.run(
        [*ORDINARY, str(home), *command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        cwd=HERE.parents[1],
    )


@pytest.mark.timeout(700)
@pytest.mark.skipif(os.geteuid() != 0, reason="who runs the tests is an ordinary user already")
def test_an_ordinary_user_deploys_without_a_network() -> None:
    sshd.program()
    with tempfile.TemporaryDirectory() as folder:  # a short path, for sockets
        tried = run(Path(folder) / "tried", "sh", "-c", "id -un; cat /proc/net/dev")
        if tried.returncode:
            pytest.skip(f"no namespaces here: {tried.stderr.strip()}")
        assert tried.stdout.split()[0] == "kiosk"
        assert re.findall(r"^ *(\S+):", tried.stdout, re.M) == ["lo"]
        words = [f"tests/remote/test_remote_deploy.py::{name}" for name in TESTS]
        done = run(Path(folder) / "home", sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{'.' * len(TESTS)} " in done.stdout
