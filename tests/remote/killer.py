"""An interpreter for the device that dies of SIGKILL at its n-th change to the file system.

Steps are seen by an audit hook, so the product needs no hooks.
"""

from __future__ import annotations

from pathlib import Path

_SCRIPT = """\
#!{python} -I
import atexit, os, signal, sys

CHANGES = {{
    "os.mkdir", "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.chmod", "fcntl.flock",
    "subprocess.Popen",
}}
count = 0


def step(event, arguments):
    global count
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
    if event == {event!r} or (not {event!r} and (event in CHANGES or writes)):
        count += 1
        if count == {at}:
            os.kill(os.getpid(), signal.SIGKILL)


def note():
    with open({log!r}, "w") as log:
        log.write(str(count))


atexit.register(note)
sys.addaudithook(step)
exec(compile(sys.argv[3], "boot", "exec"), {{"__name__": "__main__"}})
"""


def make(folder: Path, python: str, at: int, event: str = "") -> str:
    """The path of an interpreter that dies at change ``at``; 0: never, but counts into ``folder/count``.

    ``event``: count this one alone.
    """
    place = folder / f"python-{event}{at}"
    place.write_text(
        _SCRIPT.format(python=python, at=at, event=event, log=str(folder / "count")), encoding="utf-8"
    )
    place.chmod(0o755)
    return str(place)
