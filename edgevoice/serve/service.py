"""The service itself: one voice, its requests, taking up another release, and the end."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from edgevoice.deploy.layout import Folder, current_name, is_deployed, on_trial
from edgevoice.deploy.trial import abandoned
from edgevoice.errors import EdgevoiceError, NothingToSay
from edgevoice.kit import launcher
from edgevoice.options import Wish
from edgevoice.runtime.find import find
from edgevoice.serve import place, protocol, releases
from edgevoice.serve.connection import Connection, Gone
from edgevoice.serve.jobs import Job, Jobs
from edgevoice.serve.listener import Listener, listening
from edgevoice.serve.loop import Loop
from edgevoice.serve.notify import Supervisor
from edgevoice.serve.protocol import Failure, Header, Request, Status
from edgevoice.serve.releases import Anew, Loaded
from targets.cpus import usable_cpus

GRACE_SECONDS = 10.0
TRIAL_SECONDS = 1.0
"""How often a service that speaks with a release on trial looks whether its deploy still lives."""
STEADY_SECONDS = 600.0
"""After a start, before a voice that goes on on the CPU is given up for the GPU: one that fails at every text
must not cost a start for every text."""

Log = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """``path``: a deployed folder or a bundle. ``socket``: None for the folder's own place."""

    path: Path
    socket: Path | None = None
    group: str | None = None
    threads: int | None = None
    engine: Wish = ""
    grace: float = GRACE_SECONDS


def serve(settings: Settings, log: Log) -> None:
    """Speak until SIGTERM or SIGINT, which let finish what is being said; SIGHUP takes up the new release.

    Raises `EdgevoiceError` where it cannot begin.
    """
    if not is_deployed(settings.path):
        settings = replace(settings, path=find(settings.path))
    path = settings.socket or _place(settings.path)
    with listening(path, settings.group, make_folder=settings.socket is None) as listener:
        _take_off_inheritance()
        Service(settings, listener, log).run(path)


def _place(path: Path) -> Path:
    if not is_deployed(path) and "RUNTIME_DIRECTORY" not in os.environ:
        raise EdgevoiceError("a bundle has no place for a socket: name one with --socket, or deploy it")
    return place.default(path.absolute())


def _take_off_inheritance() -> None:
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)


class Service:
    """See `edgevoice.serve` for what it is asked and answers."""

    def __init__(self, settings: Settings, listener: Listener, log: Log) -> None:
        self._settings, self._listener, self._log = settings, listener, log
        self._loop = Loop(listener.socket)
        self._loop.on_signal(signal.SIGTERM, self._stop)
        self._loop.on_signal(signal.SIGINT, self._stop)
        self._loop.on_signal(signal.SIGHUP, lambda: self._reload(None))
        self._supervisor = Supervisor()
        self._jobs = Jobs()
        self._loading = self._once_more = False
        self._fresh: Loaded | EdgevoiceError | None = None
        self._waiting: list[Connection] = []
        self._stopping = self._restarting = False
        self._next_life = self._next_look = 0.0
        self._spoken, self._instance, self._since = 0, secrets.token_hex(8), time.monotonic()
        self._threads = settings.threads or usable_cpus()
        self._loaded = releases.start(settings.path, settings.threads, settings.engine)
        self._trial = self._is_on_trial()
        self._remark = self._loaded.voice.remark

    def run(self, path: Path) -> None:
        self._log(f"speaks with release {self._loaded.release} at {path}{self._but()}")
        self._supervisor.ready(self._state())
        if self._is_outdated():
            self._reload(None)
        self._loop.run(self)
        if self._restarting:
            self._become_anew()

    # What the loop asks.

    def request(self, connection: Connection) -> None:
        try:
            asked = protocol.read(connection.line or b"")
        except EdgevoiceError as error:
            self._loop.refuse(connection, Failure(str(error), "refused"))
            return
        if asked.do == "status":
            self._answer(connection)
        elif asked.do == "reload":
            self._ask_reload(connection)
        else:
            self._accept(connection, asked)

    def gone(self, connection: Connection) -> None:
        self._jobs.remove(connection)
        if connection in self._waiting:
            self._waiting.remove(connection)

    def work(self) -> bool:
        job = self._jobs.next()
        if job is None:
            return False
        try:
            job.step()
        except Gone:
            self._loop.drop(job.connection)
        except NothingToSay as error:
            self._loop.refuse(job.connection, Failure(str(error), "nothing"))
        except EdgevoiceError as error:
            self._loop.refuse(job.connection, Failure(str(error), "refused"))
            if error.lost:  # no text can be spoken any more: where a GPU is required nothing stands in
                self._begin_anew(str(error))
        except Exception as error:  # one text must not end the service for all others
            self._log(f"a request failed: {type(error).__name__}: {error}")
            failure = Failure("the service failed at this text: see its log", "broken")
            self._loop.refuse(job.connection, failure)
        else:
            if job.connection.last:
                self._spoken += 1
            self._loop.settle(job.connection)
        if job.connection.last:
            self._jobs.remove(job.connection)
        return self._jobs.next() is not None

    def tick(self, now: float) -> float | None:
        self._finish_reload()
        self._look_after_engines()
        waits = []
        if self._supervisor.watchdog_seconds:
            if now >= self._next_life:
                self._supervisor.alive()
                self._next_life = now + self._supervisor.watchdog_seconds
            waits.append(self._next_life - now)
        if self._trial:
            if now >= self._next_look:
                self._look_after_trial()
                self._next_look = now + TRIAL_SECONDS
            waits.append(self._next_look - now)
        return min(waits, default=None)

    # Speaking.

    def _accept(self, connection: Connection, asked: Request) -> None:
        if self._stopping and not self._restarting:
            self._loop.refuse(connection, Failure("the service is stopping", "stopping"))
            return
        if self._jobs.full:
            busy = f"the service is busy: {len(self._jobs)} requests are before this one, try again"
            self._loop.refuse(connection, Failure(busy, "busy"))
            return
        voice = self._loaded.voice
        self._jobs.add(Job(connection, voice, asked))
        name = voice.bundle.manifest.voice.name
        remarks = "; ".join(filter(None, [voice.stand_in, voice.remark]))
        header = Header(voice.sample_rate, self._loaded.release, name, remarks)
        self._loop.send(connection, [protocol.told(b"H", header)])

    # The state.

    def status(self) -> Status:
        voice = self._loaded.voice
        return Status(
            root=str(self._settings.path.absolute()),
            folder=place.mark(self._settings.path),
            release=self._loaded.release,
            voice=voice.bundle.manifest.voice.name,
            rate=voice.sample_rate,
            instance=self._instance,
            pid=os.getpid(),
            threads=self._threads,
            waiting=len(self._jobs),
            spoken=self._spoken,
            seconds=time.monotonic() - self._since,
            trial=self._trial,
            problem=self._loaded.problem,
            remark=voice.remark,
        )

    def _answer(self, connection: Connection) -> None:
        self._loop.send(connection, [protocol.told(b"I", self.status())], last=True)

    def _state(self) -> str:
        return f"speaks with release {self._loaded.release}"

    def _but(self) -> str:
        """For the log: why it is not the current release, or not the engine that it was made for."""
        notes = "; ".join(filter(None, [self._loaded.problem, self._loaded.voice.remark]))
        return f" ({notes})" if notes else ""

    def _is_on_trial(self) -> bool:
        """Whether what speaks is on trial by a deploy that lives; `releases.start` saw to others."""
        if not is_deployed(self._settings.path):
            return False
        folder = Folder(self._settings.path)
        return current_name(folder) == self._loaded.release and on_trial(folder) and not abandoned(folder)

    # Another release.

    def _is_outdated(self) -> bool:
        """Whether the folder was switched to another release while this one was loaded."""
        path = self._settings.path
        if not is_deployed(path) or self._loaded.problem:
            return False
        return current_name(Folder(path)) != self._loaded.release

    def _ask_reload(self, connection: Connection) -> None:
        """It changes what everybody hears, so it matters who asks."""
        if connection.user() not in {0, os.geteuid(), os.stat(self._settings.path).st_uid}:
            error = "only root, the service's own user and the folder's owner may ask for a reload"
            self._loop.refuse(connection, Failure(error, "refused"))
        else:
            self._reload(connection)

    def _reload(self, connection: Connection | None) -> None:
        if connection is not None:
            self._waiting.append(connection)
        if self._stopping:
            self._tell_waiting(EdgevoiceError("the service is stopping"))
        elif self._loading:
            self._once_more = True  # what is being loaded may have been chosen before the switch
        else:
            self._loading = True
            self._supervisor.reloading()
            threading.Thread(target=self._load, daemon=True).start()

    def _load(self) -> None:
        """In a thread, beside what is being said."""
        try:
            settings = self._settings
            on_gpu = self._loaded.voice.on_gpu
            self._fresh = releases.again(settings.path, settings.threads, settings.engine, on_gpu)
        except EdgevoiceError as error:
            self._fresh = error
        except Exception as error:
            self._fresh = EdgevoiceError(f"it cannot be loaded ({type(error).__name__}: {error})")
        self._loop.ring()

    def _finish_reload(self) -> None:
        fresh, self._fresh = self._fresh, None
        if fresh is None:
            return
        self._loading = False
        if self._once_more and not self._stopping:
            self._once_more = False
            self._reload(None)
            return
        if isinstance(fresh, Loaded):
            self._loaded = fresh
            self._remark = fresh.voice.remark
            self._trial = self._is_on_trial()
            self._log(self._state() + self._but())
        elif isinstance(fresh, Anew):
            self._log(f"begins anew for the new release: {fresh}")
            self._restarting = True
        else:
            self._loaded = Loaded(self._loaded.voice, self._loaded.release, str(fresh))
            self._log(f"keeps to release {self._loaded.release}: {fresh}")
        self._tell_waiting(None if isinstance(fresh, (Loaded, Anew)) else fresh)
        if self._restarting:
            self._end()
        else:
            self._supervisor.ready(self._state())

    def _tell_waiting(self, error: Exception | None) -> None:
        waiting, self._waiting = self._waiting, []
        for connection in waiting:
            if error is None:
                self._answer(connection)
            else:
                self._loop.refuse(connection, Failure(str(error), "refused"))

    def _look_after_trial(self) -> None:
        """Go back by itself if the deploy that put the release on trial has died in the middle of it."""
        self._trial = self._is_on_trial()
        if not self._trial and abandoned(Folder(self._settings.path)):
            self._begin_anew(f"the deploy of release {self._loaded.release} died before its commit")

    def _look_after_engines(self) -> None:
        """Log what became of them while they spoke, and take up the GPU again that was lost."""
        voice = self._loaded.voice
        if voice.remark != self._remark:
            self._remark = voice.remark
            self._log(voice.remark)
        if voice.on_gpu and voice.lost and time.monotonic() - self._since > STEADY_SECONDS:
            self._begin_anew("this process has lost the GPU")

    def _begin_anew(self, why: str) -> None:
        if not self._stopping:
            self._log(f"{why}: begins anew")
            self._restarting = True
            self._end()

    # The end.

    def _stop(self) -> None:
        self._restarting = False
        if self._stopping:  # asked twice: at once
            self._loop.stop(0.0)
            return
        self._supervisor.stopping()
        self._end()
        self._listener.close()

    def _end(self) -> None:
        self._stopping = True
        self._loop.stop(self._settings.grace)

    def _become_anew(self) -> None:
        """The same process, started again; what connects meanwhile waits at the socket."""
        self._listener.hand_over()
        self._supervisor.alive()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the new start takes it, it would end the process
        sys.stdout.flush()
        sys.stderr.flush()
        path = self._settings.path
        launched = launcher.command(path.absolute()) if is_deployed(path) else None
        command = [*launched, *sys.argv[1:]] if launched else [sys.executable, *sys.orig_argv[1:]]
        os.execv(command[0], command)
