"""Answer requests until standard input ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO, Callable  # noqa: UP035 - Python 3.8 reads this too

from edgevoice.kit import install
from edgevoice.remote.agent import facts
from edgevoice.remote.agent.store import Store

READY = "edgevoice-agent 1"
LARGEST_LINE = 1 << 20
LARGEST_PAYLOAD = 1 << 20


class Agent:
    """One session's work. Every public method is a request; what it returns is the reply."""

    def __init__(self) -> None:
        self.store: Store | None = None
        self.lock = -1

    def facts(self, root: str, wanted: list[str]) -> dict[str, Any]:
        place = _place(root)
        return {"facts": facts.read(place), **Store(place).have(wanted)}

    def installed(self, root: str) -> dict[str, Any]:
        return {"root": facts.installed(_place(root))}

    def begin(self, root: str, wanted: list[str]) -> dict[str, Any]:
        """Make the folder ours and hold it: one deploy at a time."""
        os.umask(0o022)
        place = _place(root)
        install.claim(place)
        self.lock = os.open(place / install.SESSION, os.O_RDWR | os.O_CREAT, 0o644)
        if not install.try_lock(self.lock):
            raise install.InstallError(f"another deploy into {place} is running: wait until it has ended")
        install.HELD.append(self.lock)
        self.store = Store(place)
        self.store.prepare(wanted)
        return self.store.have(wanted)

    def put(self, payload: bytes, sha256: str, offset: int) -> dict[str, Any]:
        try:
            self._held().put(sha256, offset, payload)
        except OSError:
            self._held().clear()  # a full disk has no room for what cannot be finished
            raise
        return {}

    def drop(self, sha256: str) -> dict[str, Any]:
        self._held().drop(sha256)
        return {}

    def keep(self, sha256: str) -> dict[str, Any]:
        return {"kept": self._held().keep(sha256)}

    def install(self, files: dict[str, str]) -> dict[str, Any]:
        store = self._held()
        return {"runtime": install.install(store.assemble("kit", files), store.root).name}

    def deploy(self, files: dict[str, str], runtime: str, arguments: list[str]) -> dict[str, Any]:
        store = self._held()
        home = (
            store.root / "runtimes" / os.path.basename(runtime)
            if runtime
            else install.current_home(store.root)
        )
        if not install.is_complete(home):
            raise install.InstallError(f"{home} is no whole runtime: deploy with a kit")
        done = _said(install.deploy(store.root, home, store.assemble("bundle", files), arguments))
        if done["status"] == 0:
            store.clear()
        return {**done, "runtime": home.name}

    def run(self, root: str, verb: str, arguments: list[str]) -> dict[str, Any]:
        """Let the device's own edgevoice do it."""
        place = _place(root)
        launcher = place / "bin" / "edgevoice"
        if not launcher.is_file():
            raise install.InstallError(f"{place} holds no edgevoice: deploy a bundle there first")
        command = [str(launcher), verb, str(place), *arguments]
        quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}
        return _said(subprocess.run(command, timeout=install.DEPLOY_SECONDS, **quiet))

    def _held(self) -> Store:
        if self.store is None:
            raise install.InstallError("no deploy has begun")
        return self.store


REQUESTS = ("facts", "installed", "begin", "put", "drop", "keep", "install", "deploy", "run")


def answer(agent: Agent, line: bytes, payload: bytes) -> dict[str, Any]:
    """The reply to one request, whatever happens."""
    try:
        request = json.loads(line)
        if request["do"] not in REQUESTS:
            raise install.InstallError(f"unknown request {request['do']!r}")
        action: Callable[..., dict[str, Any]] = getattr(agent, request["do"])
        return {"reply": action(*([payload] if request["do"] == "put" else []), **request["with"])}
    except install.InstallError as error:
        return {"error": str(error)}
    except subprocess.TimeoutExpired as error:
        return {"error": f"the device's edgevoice did not answer within {error.timeout:g} s"}
    except OSError as error:
        return {"error": f"{error.filename or 'the device'}: {error.strerror or error}"}
    except Exception as error:
        return {"error": f"the agent failed ({type(error).__name__}: {error})"}


def main() -> None:
    """What the session's text calls; anything that is printed elsewhere goes to standard error."""
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a lost line must not stop what is half done
    replies.write(f"\n{READY}\n".encode("ascii"))
    replies.flush()
    agent = Agent()
    while True:
        request = _read(requests)
        if request is None:
            return
        replies.write(json.dumps(answer(agent, *request)).encode("ascii") + b"\n")
        replies.flush()


def _read(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    """A request and its payload; None where the line ends or was cut."""
    line = stream.readline(LARGEST_LINE)
    if not line.endswith(b"\n"):
        return None
    size = int(json.loads(line).get("payload", 0))
    if not 0 <= size <= LARGEST_PAYLOAD:
        return None
    payload = stream.read(size)
    return (line, payload) if len(payload) == size else None


def _place(root: str) -> Path:
    """Relative to the user's home, as with scp."""
    return Path(os.path.abspath(os.path.join(os.path.expanduser("~"), root)))


def _said(done: subprocess.CompletedProcess[bytes]) -> dict[str, Any]:
    output, errors = (text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    return {"status": done.returncode, "output": output, "errors": errors}
