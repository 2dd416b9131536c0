"""A deploy in which the running service takes part: switch on trial, take up, watch, listen, then commit.

If anything of that fails, or the deploy is interrupted, the release before it speaks again at once. If the
deploy is killed, the service sees that nobody holds `trial.deploying` any more and goes back by itself.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgevoice import bundle
from edgevoice.deploy import isolate
from edgevoice.deploy.layout import Folder, current_name, is_deployed, on_trial
from edgevoice.deploy.listing import Release
from edgevoice.deploy.local import KEEP, Deployment, SelfTest, commit, deploy, go_back_if_on_trial, rollback
from edgevoice.deploy.lock import still
from edgevoice.deploy.selftest import faults, limits_for
from edgevoice.deploy.trial import deploying
from edgevoice.deploy.watching import BY_ITSELF, Watch
from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish
from edgevoice.serve import client
from edgevoice.serve.protocol import Status, Words
from edgevoice.text.sample import sentence

POLL_SECONDS = 0.1
COMMAND_SECONDS = 120.0
SUPERVISOR_SECONDS = 60.0

Note = Callable[[str], None]


@dataclass(frozen=True)
class _Taken:
    """A service that speaks with the release that it should."""

    socket: Path
    state: Status


def deploy_with_service(
    bundle_path: str | Path,
    root: str | Path,
    *,
    watch: Watch = BY_ITSELF,
    keep: int = KEEP,
    budget: int | None = None,
    allow_older: bool = False,
    self_test: SelfTest = isolate.run,
    engine: Wish = "",
    note: Note = lambda _: None,
) -> Deployment:
    """`deploy`, and the service that runs for ``root`` speaks with the new release, or all is as before.

    Without a service it is a plain deploy. Raises `EdgevoiceError` that says what failed and what speaks now;
    an interruption goes through after the way back, and ``note`` is told what speaks.
    """
    folder = Folder(Path(root).absolute())
    install = partial(
        deploy,
        bundle_path,
        root,
        keep=keep,
        budget=budget,
        allow_older=allow_older,
        self_test=self_test,
        engine=engine,
        note=note,
    )
    with ExitStack() as held:
        there = is_deployed(folder.root)
        if there:
            held.enter_context(deploying(folder))
            go_back_if_on_trial(folder.root)
        before = _find(folder, watch) if there else None
        if not _takes_part(folder, watch, before):
            return install(trial=False)
        done = None
        try:
            done = install(trial=True)
            if not there:
                held.enter_context(deploying(folder))
            _prove(folder, _take_up(folder, done.release.name, watch, before), watch)
            commit(root)
        except BaseException as error:
            outcome = _return(folder, watch)
            if done is None and not outcome:  # nothing had been switched
                raise
            outcome = outcome or still(folder)
            if isinstance(error, EdgevoiceError):
                raise EdgevoiceError(f"the new release failed in the service: {error}; {outcome}") from None
            note(outcome)
            raise
        return done


def rollback_with_service(root: str | Path, to: str | None = None, watch: Watch = BY_ITSELF) -> Release:
    """`rollback`, and the service that runs for ``root`` takes it up."""
    folder = Folder(Path(root).absolute())
    before = _find(folder, watch) if is_deployed(root) else None
    release = rollback(root, to)
    if _takes_part(folder, watch, before):
        try:
            _take_up(folder, release.name, watch, before)
        except EdgevoiceError as error:
            raise EdgevoiceError(f"{_is_current(release.name)}: {error}") from None
    return release


def _find(folder: Folder, watch: Watch) -> _Taken | None:
    if watch.wanted is False:
        return None
    try:
        found = client.find(folder.root, watch.socket)
        return _Taken(found, client.status(found)) if found else None
    except (client.ServiceAbsent, client.ServiceIll) as error:
        if watch.restart:
            return None
        raise EdgevoiceError(f"{error}; or leave the service alone with --no-service") from None


def _takes_part(folder: Folder, watch: Watch, found: _Taken | None) -> bool:
    if watch.wanted and not (found or watch.restart):
        raise EdgevoiceError(
            f"no service runs for {folder.root}: start it with `edgevoice serve {folder.root}`, "
            "or say with --restart how to start it"
        )
    return watch.wanted is not False and bool(found or watch.restart)


def _take_up(folder: Folder, name: str, watch: Watch, before: _Taken | None) -> _Taken:
    """Have the service speak with release ``name``. Raises `EdgevoiceError` where it does not."""
    if watch.restart:
        _run(watch.restart)
    elif before is not None and before.state.release == name:
        return before
    elif before is not None:
        state = client.reload(before.socket, watch.start_seconds)
        if state.release == name:
            return _Taken(before.socket, state)
    return _wait(folder, name, watch, before)


def _run(command: tuple[str, ...]) -> None:
    shown = " ".join(command)
    try:
        ran = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise EdgevoiceError(f"`{shown}` did not end within {COMMAND_SECONDS:.0f} s") from None
    except OSError as error:
        raise EdgevoiceError(f"`{shown}` cannot be run ({error.strerror})") from None
    if ran.returncode:
        last = ran.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EdgevoiceError(f"`{shown}` ended with status {ran.returncode}" + (f" ({last})" if last else ""))


def _wait(folder: Folder, name: str, watch: Watch, before: _Taken | None) -> _Taken:
    """Wait for a service that (re)starts to speak with ``name``."""
    deadline = time.monotonic() + watch.start_seconds
    old = before.state.instance if before else ""
    reason = "nobody listens"
    while time.monotonic() < deadline:
        try:
            found = client.find(folder.root, watch.socket)
            state = client.status(found) if found else None
            if found and state and state.instance != old and state.release != name:
                state = client.reload(found, watch.start_seconds)  # it began before the switch, or says why
                old = state.instance
        except (client.ServiceAbsent, client.ServiceIll) as error:
            found, state, reason = None, None, str(error)
        if found and state and state.release == name:
            return _Taken(found, state)
        time.sleep(POLL_SECONDS)
    raise EdgevoiceError(f"it did not come up within {watch.start_seconds:g} s: {reason}")


def _prove(folder: Folder, taken: _Taken, watch: Watch) -> None:
    """It speaks, stays up for the health window, and speaks again."""
    _listen(folder, taken)
    deadline = time.monotonic() + watch.seconds
    while (rest := deadline - time.monotonic()) > 0:
        time.sleep(min(POLL_SECONDS, rest))
        _check_same(taken)
    _listen(folder, taken)
    _check_same(taken)


def _check_same(taken: _Taken) -> None:
    state = client.status(taken.socket)
    if state.instance != taken.state.instance:
        raise EdgevoiceError("the service ended and was started again")
    if state.release != taken.state.release:
        raise EdgevoiceError(f"the service went over to release {state.release}")


def _listen(folder: Folder, taken: _Taken) -> None:
    import numpy as np

    manifest = bundle.read(folder.release(taken.state.release), verify=False).manifest
    text = sentence(manifest.voice.language)
    limits = limits_for(manifest.voice.language)
    speech = client.speak(taken.socket, Words(text))
    longest = 2 * round(limits.longest * len(text) * speech.header.rate)
    pcm = bytearray()
    for chunk in speech:
        pcm += chunk
        if len(pcm) > longest:
            break
    speech.close()
    sound = np.frombuffer(bytes(pcm), "<i2").astype(np.float32) / np.float32(32767)
    found = faults(sound, speech.header.rate, text, limits)
    if found:
        raise EdgevoiceError("; ".join(found))


def _return(folder: Folder, watch: Watch) -> str:
    """Go back if the new release is on trial, and say what speaks; ``""`` if nothing had been switched."""
    if not is_deployed(folder.root) or not on_trial(folder):
        return ""
    back = go_back_if_on_trial(folder.root)
    if back is None:
        return f"there is no earlier release to go back to: release {current_name(folder)} stays on trial"
    try:
        _take_up_again(folder, back.name, watch)
    except EdgevoiceError as error:
        return f"{_is_current(back.name)}: {error}"
    return f"release {back.name} speaks again"


def _take_up_again(folder: Folder, name: str, watch: Watch) -> None:
    """`_take_up`, of a service that may be dying of the new release at this very moment."""
    try:
        found = _find(folder, watch)
    except EdgevoiceError:
        found = None
    if found and found.state.release == name:
        return
    # Nobody listens: without a command, only a supervisor can start it, and does so soon.
    patient = watch if watch.restart else replace(watch, start_seconds=SUPERVISOR_SECONDS)
    try:
        _take_up(folder, name, watch if found else patient, found)
    except (client.ServiceAbsent, client.ServiceIll):
        _wait(folder, name, patient, found)


def _is_current(name: str) -> str:
    return f"release {name} is current again, but the service has not taken it up, so restart it"
