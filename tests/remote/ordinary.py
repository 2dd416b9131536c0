"""Run a command as an ordinary user without a network: ``python ordinary.py HOME COMMAND...``, as root.

The user exists in namespaces of its own, so the machine stays as it is, and what it starts ends with this.
Its rights are those of a file's owner, with none of root's.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

NAME = "kiosk"
NUMBER = 4242

_SIOCSIFFLAGS = 0x8914
_IFF_UP = 1


def outside(home: str, command: list[str]) -> None:
    """In new namespaces: go on with `inside`."""
    words = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp(words[0], [*words, sys.executable, __file__, "--inside", home, *command])


def inside(home: str, command: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
    _add("/etc/passwd", f"{NAME}:x:{NUMBER}:{NUMBER}::{home}:/bin/sh\n", home)
    _add("/etc/group", f"{NAME}:x:{NUMBER}:\n", home)
    environment = {"HOME": home, "USER": NAME, "LOGNAME": NAME, "PATH": os.defpath, "TMPDIR": f"{home}/tmp"}
    Path(environment["TMPDIR"]).mkdir()
    words = ["unshare", "--user", f"--map-user={NUMBER}", f"--map-group={NUMBER}", *command]
    os.execvpe(words[0], words, environment)


def _add(file: str, line: str, home: str) -> None:
    """Seen here alone."""
    copy = Path(home) / Path(file).name
    copy.write_text(Path(file).read_text(encoding="utf-8") + line, encoding="utf-8")
    subprocess.run(["mount", "--bind", str(copy), file], check=True, stdin=subprocess.DEVNULL, timeout=60)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(sys.argv[2], sys.argv[3:])
    else:
        outside(sys.argv[1], sys.argv[2:])
