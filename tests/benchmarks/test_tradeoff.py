"""The picture of speed against quality, from a table of peers and the bundles' own figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import tradeoff
from edgevoice import bundle


def table(tmp_path: Path, bundles: dict[str, str], **factors: float) -> Path:
    spreads = {name: {"median": value, "p95": value, "runs": 10} for name, value in factors.items()}
    found: dict[str, Any] = {
        "rows": {tradeoff.SPEED: {"spreads": spreads}},
        "provenance": {"bundles": bundles},
    }
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(found))
    return path


def test_bundles_and_peers_are_drawn(tiny_bundle: Path, tmp_path: Path) -> None:
    ids = {"tiny": bundle.read(tiny_bundle).id}
    peers = table(tmp_path, ids, edgevoice=0.05, peer=0.1)
    out = tmp_path / "out.svg"
    assert tradeoff.main([str(peers), "--bundle", str(tiny_bundle), "-o", str(out)]) == 0
    drawn = ElementTree.fromstring(out.read_text())
    circles = [float(part.attrib["cx"]) for part in drawn.iter() if part.tag.endswith("circle")]
    assert len(circles) == 2
    left = 40
    assert circles[1] - left == pytest.approx(2 * (circles[0] - left), abs=0.2)  # twice as fast
    assert "times as fast as peer" in out.read_text()


@pytest.mark.parametrize(
    ("ids", "factors", "said"),
    [
        ({"tiny": "0" * 64}, {"tiny": 0.05, "peer": 0.1}, "none of the bundles that were measured"),
        (None, {"edgevoice": 0.05}, "no peer was measured"),
    ],
)
def test_what_does_not_belong_together_is_one_line(
    ids: dict[str, str] | None,
    factors: dict[str, float],
    said: str,
    tiny_bundle: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    peers = table(tmp_path, ids or {"tiny": bundle.read(tiny_bundle).id}, **factors)
    out = tmp_path / "out.svg"
    assert tradeoff.main([str(peers), "--bundle", str(tiny_bundle), "-o", str(out)]) == 2
    assert said in capsys.readouterr().err
    assert not out.exists()


def test_another_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    assert tradeoff.main([str(other), "--bundle", "nowhere", "-o", str(tmp_path / "out.svg")]) == 2
    assert "nothing that peers.py --json wrote" in capsys.readouterr().err
