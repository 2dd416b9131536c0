"""Stop `bundle.write` at every single step, by SIGKILL or by a full disk, and see what lies there afterwards.

Usage: ``python -m tests.write_moments WORK kill|full``. A child is forked for each moment; steps are seen by
an audit hook, so the product needs no hooks. Prints a JSON row a moment.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError

CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "tempfile.mkdtemp", "fsync"}
NEED_SPACE = {"open", "os.mkdir", "tempfile.mkdtemp", "fsync"}


def stop_at(number: int, how: str) -> None:
    """Before change ``number`` of this process: be killed, or have a disk that is full from there on."""
    count = 0

    def step(event: str) -> None:
        nonlocal count
        count += 1
        if count == number and how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if count >= number and how == "full" and event in NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        opened = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if event in CHANGES or opened:
            step(event)

    sync = os.fsync

    def fsync(descriptor: int) -> None:
        step("fsync")
        sync(descriptor)

    os.fsync = fsync  # type: ignore[assignment]
    sys.addaudithook(audit)


def write(source: Path, target: Path) -> None:
    made = bundle.read(source)
    bundle.write(target, made.manifest, {name: made.file(name) for name in made.manifest.files})


def attempt(work: Path, number: int, how: str, update: bool) -> dict[str, Any]:
    target = work / "there" / "bundle"
    shutil.rmtree(target.parent, ignore_errors=True)
    if update:
        write(work / "old", target)
    child = os.fork()
    if child == 0:
        stop_at(number, how)
        try:
            write(work / "new", target)
        except EdgevoiceError:
            os._exit(3)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"status": status, "update": update, "holds": holds(target), **again(work, target)}


def holds(target: Path) -> str:
    return bundle.read(target).manifest.voice.name if target.exists() else ""


def again(work: Path, target: Path) -> dict[str, Any]:
    left = sorted(path.name for path in target.parent.iterdir()) if target.parent.exists() else []
    write(work / "new", target)
    return {"left": left, "ends": holds(target), "after": [path.name for path in target.parent.iterdir()]}


def main(work: Path, how: str) -> None:
    rows: list[dict[str, Any]] = []
    for update in (False, True):
        number = 1
        while not rows or rows[-1]["status"] or rows[-1]["update"] != update:
            rows.append(attempt(work, number, how, update))
            number += 1
    print(json.dumps(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
