"""A pack and an update while a service speaks: it takes them up as it takes up a deploy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from serve.conftest import named
from serve.running import LIMIT_SECONDS, MAIN, running

from edgevoice import bundle
from edgevoice.deploy.layout import resolve, short
from edgevoice.pack.make import pack


def verb(*words: object) -> str:
    """What the command prints; the self-test is the real one."""
    command = [sys.executable, "-c", MAIN, *map(str, words), "--health", "0.2"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_pack_and_an_update_are_taken_up_by_the_service(
    root: Path, two: Path, second: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    three = named(tiny_bundle, tmp_path / "three")
    third = short(bundle.read(three, verify=False).id)
    file = pack(two, tmp_path / "two.edgevoice").path
    (root / "update.toml").write_text(f'source = "{three}"\nrequire_signature = false\n')
    with running(root, "--threads", 1) as service:
        before = service.status()
        assert second in verb("install", file, root)
        assert (service.status().release, service.status().spoken) == (second, before.spoken + 2)
        assert third in verb("update", root, "--service")
        found = service.status()
        assert (found.release, found.problem, found.instance) == (third, "", before.instance)
        assert resolve(root).name == third
        assert "nothing newer" in verb("update", root, "--service")
