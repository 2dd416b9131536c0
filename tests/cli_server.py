"""Runs command lines in forked children of one process that has imported all: fifty cost what one does.

A request is a JSON line {"arguments", "folder", "file_limit"}; the command's standard input, output and error
are the files stdin, stdout and stderr in the folder "streams" beside its own. The answer is the exit status.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

# What the verbs import when they run.
import soundfile  # noqa: F401

import edgevoice.bench
import edgevoice.deploy.local
import edgevoice.doctor
import edgevoice.runtime.voice  # noqa: F401
from edgevoice.cli import main


def run(request: dict[str, Any]) -> int:
    folder = Path(request["folder"])
    os.chdir(folder)
    modes = {"stdin": os.O_RDONLY, "stdout": os.O_WRONLY | os.O_CREAT, "stderr": os.O_WRONLY | os.O_CREAT}
    for descriptor, (name, mode) in enumerate(modes.items()):
        os.dup2(os.open(folder.with_name("streams") / name, mode, 0o600), descriptor)
    if request["file_limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["file_limit"],) * 2)
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))  # the parent's has been read from
    sys.argv = ["edgevoice", *request["arguments"]]
    try:
        main()
    except SystemExit as left:
        return int(left.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 99


def serve() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            # Not by way of the interpreter's end: there ONNX Runtime waits for a thread that is not here.
            os._exit(run(json.loads(line)))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
