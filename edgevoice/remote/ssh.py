"""One SSH session with the agent in it, by the user's own OpenSSH: their settings, keys and known hosts."""

from __future__ import annotations

import json
import os
import select
import shlex
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any

from edgevoice.errors import EdgevoiceError
from edgevoice.remote import boot
from edgevoice.remote.agent.loop import LARGEST_LINE, READY
from edgevoice.remote.target import Host

START_SECONDS = 90.0
ANSWER_SECONDS = 120.0
LONG_SECONDS = 7200.0
"""For requests that install or let a voice speak: the device has limits of its own, which are shorter."""

NOISE_BYTES = 1 << 18
_BLOCK = 1 << 16


class LineLost(EdgevoiceError):
    """The session ended, or the device stopped answering."""


class Refused(EdgevoiceError):
    """The device answered that it cannot."""


@dataclass(frozen=True)
class Ssh:
    """``options``: as after ``ssh -o``. ``python``: the device's interpreter."""

    options: tuple[str, ...] = ()
    port: int | None = None
    python: str = "python3"


class Session:
    """Requests and replies; use it in a ``with`` block. Raises `LineLost`, `Refused` and `EdgevoiceError`."""

    def __init__(self, host: Host, ssh: Ssh) -> None:
        self.host = host
        self.python = ssh.python
        # Not a pipe, which a persisting master would hold open.
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._buffer = b""
        environment = {**os.environ, "SSH_ASKPASS_REQUIRE": "never", "LC_ALL": "C"}
        self._process = subprocess.Popen(
            command(host, ssh),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env=environment,
            start_new_session=True,  # an interrupt is ours to handle: we say what speaks afterwards
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)

    def __enter__(self) -> Session:
        try:
            self._write(boot.text())
            self._await_ready()
        except LineLost:
            reason = self._why_not()
            self.close()
            raise EdgevoiceError(f"{self.host.address}: {reason}; nothing was changed there") from None
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def ask(self, do: str, seconds: float = ANSWER_SECONDS, **words: Any) -> dict[str, Any]:
        """Send a request and wait for its reply."""
        self.send(do, **words)
        return self.receive(seconds)

    def send(self, do: str, payload: bytes = b"", **words: Any) -> None:
        request = {"do": do, "with": words, "payload": len(payload)}
        self._write(json.dumps(request).encode() + b"\n" + payload)

    def receive(self, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        line = self._line(time.monotonic() + seconds)
        try:
            reply = json.loads(line)
            if "error" in reply:
                raise Refused(str(reply["error"]))
            found: dict[str, Any] = reply["reply"]
        except (ValueError, KeyError, TypeError):
            raise LineLost("the device answered something that is no reply") from None
        return found

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        noise = b""
        while True:
            line = self._line(deadline, noise)
            if line.decode(errors="replace").strip() == READY:
                return
            noise += line
            if len(noise) > NOISE_BYTES:
                raise LineLost("noise")

    def _write(self, data: bytes) -> None:
        view, deadline = memoryview(data), time.monotonic() + ANSWER_SECONDS
        while view:
            _, ready, _ = select.select([], [self._in], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise LineLost(f"the line to {self.host.address} stands still")
            try:
                view = view[os.write(self._in, view[:_BLOCK]) :]
            except OSError:
                raise LineLost(f"the line to {self.host.address} was lost") from None

    def _line(self, deadline: float, noise: bytes = b"") -> bytes:
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._out], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise LineLost(f"{self.host.address} does not answer")
            got = os.read(self._out, _BLOCK)
            self._buffer += got
            if not got or len(self._buffer) > LARGEST_LINE:
                raise LineLost(f"the line to {self.host.address} was lost")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line + b"\n"

    def _why_not(self) -> str:
        """Why the agent did not start, from what ssh and the remote shell said."""
        try:
            status: int | None = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            status = None
        self._errors.seek(0)
        said = self._errors.read(1 << 16).decode(errors="replace")
        return explain(said, status, self.python)


def command(host: Host, ssh: Ssh) -> list[str]:
    """The ssh command: no terminal, no question, no master process that would outlive it."""
    program = shutil.which("ssh")
    if program is None:
        raise EdgevoiceError("ssh is missing here: install OpenSSH's client (apt install openssh-client)")
    words = [program, "-T", "-x", *(word for option in ssh.options for word in ("-o", option))]
    for option in ("BatchMode=yes", "ControlMaster=no", "ConnectTimeout=20", "ServerAliveInterval=15"):
        words += ["-o", option]
    port = ssh.port or host.port
    words += ["-p", str(port)] if port else []
    return [*words, "--", host.address, f"{shlex.quote(ssh.python)} -I -c '{boot.COMMAND}'"]


_KNOWN = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one you know: find out why before "
     "you remove the old one with `ssh-keygen -R`"),
    ("Host key verification failed", "its host key is not known here: connect once with plain ssh and "
     "compare the fingerprint"),
    ("Permission denied", "it does not accept your key: try plain ssh, load the key with ssh-add; passwords "
     "are not asked for"),
    ("Could not resolve hostname", "there is no host of that name"),
    ("Bad configuration option", "an ssh option is wrong"),
    ("Connection refused", "nothing listens there for ssh: is the address, is the port right?"),
    ("Connection timed out", "it does not answer: is it on, is the address right?"),
    ("No route to host", "it cannot be reached from here"),
)  # fmt: skip


def explain(said: str, status: int | None, python: str) -> str:
    """One line from the standard error of ssh and of the remote shell."""
    for sign, meaning in _KNOWN:
        if sign in said:
            return meaning
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    if "is too old" in last:
        return (
            f"{last.removeprefix('edgevoice: ')}: edgevoice needs 3.10 or newer, name one there with --python"
        )
    if status in (126, 127):
        return (
            f"it cannot run {python} ({last or 'not found'}): install it (sudo apt install python3) "
            "or name one with --python"
        )
    if status is None:
        return "its login shell prints without end or never starts a command: make it quiet for ssh"
    return f"the session ended at once with status {status}" + (f" ({last})" if last else "")
