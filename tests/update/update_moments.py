"""Kill an update from a pack at a dozen of its steps: ``python update_moments.py BEGIN WORK``.

BEGIN is a device with a newer release at its source. Prints how many steps there are and a JSON row a moment.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from deploy import moments
from deploy.deploy_bundles import content

from edgevoice.deploy import local
from edgevoice.update.update import update

MOMENTS = 14


def look(root: Path) -> None:
    update(root, lambda found: local.deploy(found, root, keep=2, self_test=content))


def stopped(begin: Path, root: Path, at: int) -> int:
    """The exit status of an update of a copy of ``begin`` that is killed at step ``at``."""
    shutil.copytree(begin, root, symlinks=True)
    return moments.in_child(lambda: (moments.watch(moments.steps(at, full=False)), look(root)))


def count(begin: Path, work: Path) -> int:
    """How many steps an update has, found by halving: at which one a kill comes too late."""
    least, most = 1, 512
    while least < most:
        middle = (least + most) // 2
        if stopped(begin, work / f"count{middle}", middle) == 0:
            most = middle
        else:
            least = middle + 1
    return least - 1


def row(begin: Path, root: Path, at: int) -> dict[str, Any]:
    status = stopped(begin, root, at)
    spoke = moments.speaks(root)
    again = moments.in_child(lambda: look(root))
    left = sorted(path.name for path in root.iterdir())
    return {
        "at": at,
        "status": status,
        "spoke": spoke,
        "again": again,
        "ends": moments.speaks(root),
        "left": left,
    }


def main(begin: Path, work: Path) -> None:
    steps = count(begin, work)
    spread = {1 + round(number * (steps - 1) / (MOMENTS - 1)) for number in range(MOMENTS)}
    rows = [row(begin, work / f"at{at}", at) for at in sorted(spread)]
    print(json.dumps({"steps": steps, "rows": rows}))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
