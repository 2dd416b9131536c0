"""Stop a deploy at every single step, by SIGKILL or by a full disk, and see what the folder says afterwards.

    python moments.py WORK kill|full SCENARIO

One process imports everything, then forks a child for each moment: at its n-th change to the file system it
is killed, or from there on the disk is full. Steps are seen by an audit hook, so the product needs no hooks.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from deploy_bundles import content, make, name_of

from edgevoice import bundle
from edgevoice.deploy.local import deploy, resolve, rollback
from edgevoice.errors import EdgevoiceError

CHANGES = {
    "os.mkdir",
    "os.rename",
    "os.link",
    "os.symlink",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "fcntl.flock",
}
NEED_SPACE = {"open", "os.mkdir", "os.link", "os.symlink", "write", "fsync"}
Step = Callable[[str], None]


def steps(at: int, full: bool) -> Step:
    """Called before every change: kills the process at number ``at``, or refuses that and all later ones."""
    count = 0

    def step(event: str) -> None:
        nonlocal count
        count += 1
        if count == at and not full:
            os.kill(os.getpid(), signal.SIGKILL)
        if count >= at and full and event in NEED_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return step


def watch(step: Step) -> None:
    def audit(event: str, arguments: tuple[object, ...]) -> None:
        writes = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if event in CHANGES or writes:
            step(event)

    sync = os.fsync

    def fsync(descriptor: int) -> None:
        step("fsync")
        sync(descriptor)

    def copyfile(source: Path, destination: Path) -> None:
        data = source.read_bytes()
        with open(destination, "wb", buffering=0) as stream:
            for start in range(0, len(data), 1 + len(data) // 3):
                step("write")
                stream.write(data[start : start + 1 + len(data) // 3])

    os.fsync, shutil.copyfile = fsync, copyfile  # type: ignore[assignment]
    sys.addaudithook(audit)


def scenario(name: str, work: Path) -> tuple[Path, list[str], str, Callable[[Path], object]]:
    """(folder to begin with, what may speak when stopped, what speaks in the end, the operation)."""
    old, new = make(work, "old"), make(work, "new", vocoder=1)
    begin = work / "begin"
    if name == "first":
        return begin, ["", name_of(new)], name_of(new), lambda root: deploy(new, root, self_test=content)
    deploy(make(work, "older", encoder=2, acoustic=2, vocoder=2), begin, self_test=content)
    deploy(old, begin, self_test=content)
    either = [name_of(old), name_of(new)]
    if name == "update":  # prunes as well
        return begin, either, either[1], lambda root: deploy(new, root, keep=2, self_test=content)
    if name == "rollback":
        deploy(new, begin, self_test=content)
        return (
            begin,
            either,
            either[0],
            lambda root: rollback(root, to=None if resolve(root).name == either[1] else either[0]),
        )
    raise SystemExit(f"no scenario {name}")


def speaks(root: Path) -> str:
    """The release that speaks now, read wholly; "" if there is none yet."""
    try:
        place = resolve(root)
    except EdgevoiceError as error:
        return (
            "" if "no release yet" in str(error) or "no deployed folder" in str(error) else f"broken: {error}"
        )
    bundle.read(place)
    return place.name


def in_child(action: Callable[[], object]) -> int:
    process = os.fork()
    if process:
        return os.waitpid(process, 0)[1]
    try:
        action()
    except EdgevoiceError as error:
        os._exit(3 if "full" in str(error) else 4)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(5)
    os._exit(0)


def timed(root: Path, operation: Callable[[Path], object], delay: float) -> int:
    process = os.fork()
    if not process:
        operation(root)
        os._exit(0)
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    return os.waitpid(process, 0)[1]


def run(work: Path, how: str, name: str) -> list[dict[str, object]]:
    begin, _, _, operation = found = scenario(name, work)
    rows: list[dict[str, object]] = []
    noise = random.Random(7)
    for at in range(1, 1000):
        root = work / f"root{at}"
        if begin.exists():
            shutil.copytree(begin, root, symlinks=True)
        if how == "timed":
            status = timed(root, operation, noise.uniform(0, 0.05))
        else:
            status = in_child(lambda at=at, root=root: (watch(steps(at, how == "full")), operation(root)))  # type: ignore[misc]
        rows.append(
            {"at": at, "status": status, "spoke": speaks(root), "staging": (root / "staging").exists()}
        )
        rows[-1]["there"] = root.exists()
        rows[-1]["again"] = in_child(lambda root=root: operation(root))  # type: ignore[misc]
        rows[-1].update(ends=speaks(root), may=found[1], wanted=found[2], left=(root / "staging").exists())
        shutil.rmtree(root, ignore_errors=True)
        if (how == "timed" and at == 20) or (how != "timed" and status == 0):
            return rows
    raise SystemExit("the operation never came to an end")


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]), sys.argv[2], sys.argv[3])))
