"""A deploy stopped at any moment leaves a whole release speaking, and the next one goes through."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """In memory where that is possible: hundreds of deploys that sync every file wear a disk."""
    inside = SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=inside) as folder:
        yield Path(folder)


def moments(work: Path, how: str, scenario: str) -> list[dict[str, Any]]:
    ran = subprocess.run(
        [sys.executable, str(HERE / "moments.py"), str(work), how, scenario],
        capture_output=True,
        text=True,
        check=False,
        timeout=270,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    rows: list[dict[str, Any]] = json.loads(ran.stdout)
    return rows


@pytest.mark.parametrize(("scenario", "least"), [("first", 30), ("update", 35), ("rollback", 5)])
def test_a_kill_at_every_step_leaves_a_whole_release(work: Path, scenario: str, least: int) -> None:
    rows = moments(work, "kill", scenario)
    assert len(rows) > least
    for row in rows[:-1]:
        assert row["status"] == signal.SIGKILL, row
        assert row["spoke"] in row["may"], row
        assert row["again"] == 0, row
        assert (row["ends"], row["left"]) == (row["wanted"], False), row
    assert rows[-1]["status"] == 0
    assert {row["spoke"] for row in rows} == set(rows[0]["may"])


def test_a_kill_at_any_time_leaves_a_whole_release(work: Path) -> None:
    for row in moments(work, "timed", "update"):
        assert row["spoke"] in row["may"], row
        assert (row["again"], row["ends"], row["left"]) == (0, row["wanted"], False), row


@pytest.mark.parametrize("scenario", ["first", "update"])
def test_a_disk_that_is_full_from_any_step_on(work: Path, scenario: str) -> None:
    rows = moments(work, "full", scenario)
    refused = [row for row in rows if row["status"]]
    assert len(refused) > 20
    for row in refused:
        assert os.waitstatus_to_exitcode(row["status"]) == 3, row
        assert row["spoke"] in row["may"], row
        assert not row["staging"], row
        if scenario == "first" and not row["spoke"]:
            assert not row["there"], row
        assert (row["again"], row["ends"]) == (0, row["wanted"]), row
