"""Kill `sign` at every single step and see what lies there: ``python sign_moments.py BUNDLE KEY WORK``.

BUNDLE is signed with serial 1, and signed anew with 2. Prints a JSON row a moment.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from write_moments import stop_at

from edgevoice import bundle
from edgevoice.signing import openssh
from edgevoice.signing.sign import sign


def attempt(number: int, work: Path, key: Path) -> int:
    child = os.fork()
    if child == 0:
        status = 1
        try:
            stop_at(number, "kill")
            sign(work, key, 2)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def row(number: int, begin: Path, key: Path, work: Path) -> dict[str, Any]:
    shutil.copytree(begin, work)
    status = attempt(number, work, key)
    found = bundle.read(work)
    signature = found.signature
    valid = signature is None or openssh.valid((work / bundle.MANIFEST).read_bytes(), signature)
    sign(work, key, 2)
    left = sorted(path.name for path in work.iterdir())
    return {
        "status": status,
        "holds": [found.manifest.serial, signature is not None],
        "valid": valid,
        "left": left,
    }


def main(begin: Path, key: Path, work: Path) -> None:
    rows: list[dict[str, Any]] = []
    while not rows or rows[-1]["status"]:
        rows.append(row(len(rows) + 1, begin, key, work / str(len(rows))))
    print(json.dumps(rows))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
