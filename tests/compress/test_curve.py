"""The picture of quality against training time."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from compress.distil import curve
from compress.distil.evaluate import NAME
from edgevoice.errors import EdgevoiceError


def evaluated(folder: Path, stages: list[str], *rows: tuple[float, float]) -> Path:
    folder.mkdir(exist_ok=True)
    with (folder / NAME).open("a") as file:
        for hours, value in rows:
            figure = {"mean": value, "low": value - 0.1, "high": value + 0.1, "count": 50}
            line = {
                "stages": {stage: {} for stage in stages},
                "seconds": 3600 * hours,
                "figures": {"log_mel_l1": figure},
            }
            file.write(json.dumps(line) + "\n")
    return folder


def test_points_lie_in_the_order_of_training_and_better_is_lower(tmp_path: Path) -> None:
    run = evaluated(tmp_path / "run", ["vocoder"], (2.0, 0.4), (1.0, 0.8))
    evaluated(run, ["vocoder", "acoustic"], (2.5, 0.5))
    out = tmp_path / "curve.svg"
    curve.run([run], out)
    picture = ElementTree.parse(out).getroot()
    lines = picture.findall("{http://www.w3.org/2000/svg}polyline")
    places = [tuple(map(float, place.split(","))) for place in lines[0].attrib["points"].split()]
    assert places[0][0] < places[1][0]
    assert places[0][1] < places[1][1]  # SVG counts downwards
    assert len(lines) == 2
    told = [text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "— acoustic + vocoder" in told
    circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(circles) == 3
    assert all(0 < float(circle.attrib["cx"]) < curve.WIDTH for circle in circles)


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="does not exist: run"):
        curve.read([tmp_path], "log_mel_l1")
    run = evaluated(tmp_path / "run", ["vocoder"], (2.0, 0.4))
    with pytest.raises(EdgevoiceError, match="measured wer: there are log_mel_l1"):
        curve.read([run], "wer")
    with (run / NAME).open("a") as file:
        file.write("{half")
    with pytest.raises(EdgevoiceError, match="is damaged"):
        curve.read([run], "log_mel_l1")
