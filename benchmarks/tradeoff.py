"""python benchmarks/tradeoff.py PEERS.json --bundle BUNDLE ... -o FILE.svg: speed against quality, drawn.

PEERS.json is what `peers.py --json` wrote for the same bundles. Quality is each bundle's own figure against
the teacher, 0 for the peers, which speak the teacher's own file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import report
from calibration.report.charts import Point, scatter
from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import Manifest

SPEED = "CPU real-time factor, all"
STYLE = """
svg { background: #fff; font: 11px sans-serif; }
.grid { stroke: #dde1e6; } .note { fill: #444c56; }
.front { fill: none; stroke: #9db2cc; stroke-dasharray: 4 3; }
.main { fill: #2563a8; } .peer { fill: #c2571a; }
"""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        drawn = picture(_read(options.peers), options.bundle, options.measure)
        report.write(options.out, drawn)
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {options.out}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tradeoff.py", description=__doc__)
    parser.add_argument("peers", type=Path, help="what peers.py --json wrote")
    parser.add_argument(
        "--bundle", type=Path, action="append", required=True, help="may be given several times"
    )
    parser.add_argument("--measure", default="log_mel_l1", help="default: %(default)s")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the picture, FILE.svg")
    return parser


def picture(found: Mapping[str, Any], bundles: Sequence[Path], measure: str) -> str:
    """An SVG page of its own: to the right is faster than the first peer, down is nearer to the teacher."""
    columns = found["rows"][SPEED]["spreads"]
    ids: Mapping[str, str] = found["provenance"]["bundles"]
    peers = [name for name in columns if name not in ids and name != "edgevoice"]
    if not peers:
        raise EdgevoiceError("no peer was measured there: run peers.py with --voice")
    slowest = columns[peers[0]]["median"]
    points = [Point(slowest / columns[name]["median"], 0.0, name, "peer") for name in peers]
    for path in bundles:
        read = bundle.read(path)
        name = _column(ids, read.id, path)
        column = columns[name if name in columns else "edgevoice"]
        points.append(Point(slowest / column["median"], distance(read.manifest, measure), path.name))
    title = f"Speed against {measure}"
    chart = scatter(
        points, title, f"times as fast as {peers[0]}, one thread", f"{measure} to the teacher", front=True
    )
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="720" '
    return chart.replace("<svg ", head, 1).replace("</title>", f"</title><style>{STYLE}</style>", 1) + "\n"


def distance(manifest: Manifest, measure: str) -> float:
    """How far the bundle's sound is from its teacher's; a teacher's own stages in FP32 are 0 from it."""
    if manifest.against_teacher is not None:
        figures = manifest.against_teacher.shipped
    elif all(stage.speaks.precision == "fp32" for stage in manifest.stages.values()):
        return 0.0
    else:
        figures = manifest.quality
    if measure not in figures:
        raise EdgevoiceError(f"the bundle of {manifest.voice.name} has no figure for {measure}")
    return abs(figures[measure].mean)


def _column(ids: Mapping[str, str], wanted: str, path: Path) -> str:
    for name, identity in ids.items():
        if identity == wanted:
            return name
    raise EdgevoiceError(f"{path} is none of the bundles that were measured: run peers.py on it with --json")


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        columns, bundles = found["rows"][SPEED]["spreads"], found["provenance"]["bundles"]
        whole = all(column["median"] > 0 for column in columns.values())
        if not whole or not (len(bundles) == 1 or columns.keys() >= bundles.keys()):
            raise ValueError("a column without a figure, or a bundle without a column")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise EdgevoiceError(f"{path} is nothing that peers.py --json wrote") from None
    return found


if __name__ == "__main__":
    sys.exit(main())
