"""Stop the workstation's side of a deploy by SIGKILL before its n-th write to the line.

    python client_moments.py JOB     (a JSON file: what to deploy where)

A child is forked for each moment. Prints a JSON row a moment.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from edgevoice.deploy.layout import resolve
from edgevoice.kit import install
from edgevoice.remote import ssh, transfer
from edgevoice.remote.deploy import Options, deploy
from edgevoice.remote.target import Host

DEADLINE_SECONDS = 120.0


def stop_at(number: int) -> None:
    """Before write ``number`` of this process: be killed."""
    count = 0
    write = ssh.Session._write

    def counted(session: ssh.Session, data: bytes) -> None:
        nonlocal count
        count += 1
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        write(session, data)

    ssh.Session._write = counted  # type: ignore[method-assign]


def attempt(job: dict[str, Any], root: str, number: int) -> int:
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        stop_at(number)
        transfer.PIECE = 4096
        send(job, root)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        os._exit(5)
    os._exit(0)


def send(job: dict[str, Any], root: str) -> int:
    known = ssh.Ssh(tuple(job["options"]), job["port"], job["python"])
    return deploy(job["bundle"], Host(job["address"], root), known, Options(kit=job["kit"])).sent_bytes


def settled(root: str) -> str:
    """What speaks once nothing holds the folder any more: the agent ends after its client."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    held = os.open(Path(root) / install.SESSION, os.O_RDWR | os.O_CREAT)
    try:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return resolve(root).name
            except BlockingIOError:
                time.sleep(0.02)
    finally:
        os.close(held)
    raise SystemExit("the agent never ended")


def main(job: dict[str, Any]) -> None:
    rows = []
    for row in job["moments"]:
        status = attempt(job, row["root"], row["at"])
        spoke = settled(row["root"])
        sent = send(job, row["root"]) if row["again"] else -1
        rows.append(
            {**row, "status": status, "spoke": spoke, "sent": sent, "ends": resolve(row["root"]).name}
        )
    print(json.dumps(rows))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
