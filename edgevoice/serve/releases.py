"""Which release a service speaks with, and whether there is memory for it."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgevoice import bundle
from edgevoice.deploy.layout import (
    Folder,
    checked,
    current_name,
    history,
    is_deployed,
    open_folder,
    short,
)
from edgevoice.deploy.local import go_back_if_on_trial
from edgevoice.deploy.trial import abandoned
from edgevoice.errors import EdgevoiceError
from edgevoice.kit import install, launcher
from edgevoice.options import Wish
from targets.render import megabytes

if TYPE_CHECKING:
    from edgevoice.runtime.voice import Voice


class Anew(EdgevoiceError):
    """Only a process that begins anew can load the release."""


@dataclass(frozen=True)
class Loaded:
    """A voice that is ready. ``problem``: why it is not the current release's, or ``""``."""

    voice: Voice
    release: str
    problem: str = ""


def start(path: Path, threads: int | None, engine: Wish = "") -> Loaded:
    """Load the bundle at ``path``, or the release with which a service of the folder ``path`` is to begin.

    That is the current one, unless its trial was abandoned; and the newest that loads, if it does not: an old
    voice beats none.
    """
    if not is_deployed(path):
        return Loaded(_load(path, threads, engine), _release_of(path))
    folder = open_folder(path)
    problem = _go_back(folder)
    reasons: list[str] = []
    for name in _candidates(folder):
        try:
            voice = _load(_whole(folder, name), threads, engine)
        except EdgevoiceError as error:
            reasons.append(str(error))
        else:
            return Loaded(voice, name, problem or (reasons[0] if reasons else ""))
    raise EdgevoiceError(
        reasons[0] if reasons else f"{path} has no release yet: run `edgevoice deploy BUNDLE {path}`"
    )


def again(path: Path, threads: int | None, engine: Wish = "", holds_gpu: bool = True) -> Loaded:
    """Load what is current now, beside the voice that speaks. ``holds_gpu``: that one has memory of the GPU.
    Raises `Anew` where only a process that begins anew can."""
    if not is_deployed(path):
        return Loaded(_load_beside(path, threads, engine, holds_gpu), _release_of(path))
    folder = open_folder(path)
    name = current_name(folder)
    if name is None:
        raise EdgevoiceError(f"{path} has no release any more: run `edgevoice deploy BUNDLE {path}`")
    place = _whole(folder, name)
    _check_runtime(folder)
    return Loaded(_load_beside(place, threads, engine, holds_gpu), name)


def _check_runtime(folder: Folder) -> None:
    """A release speaks with the runtime that it was heard with, where the folder holds runtimes."""
    if launcher.command(folder.root) is None:
        return
    try:
        wanted = install.current_home(folder.root)
    except install.InstallError as error:
        raise EdgevoiceError(str(error)) from None
    if wanted != Path(sys.prefix).resolve():
        raise Anew("it speaks with another runtime")


def _go_back(folder: Folder) -> str:
    """Leave a trial that was abandoned; a line if this user may not change the folder."""
    if not abandoned(folder):
        return ""
    with suppress(EdgevoiceError):
        go_back_if_on_trial(folder.root)
    if not abandoned(folder):
        return ""
    name = current_name(folder)
    return f"release {name} was never committed: deploy it again, or run `edgevoice rollback {folder.root}`"


def _candidates(folder: Folder) -> list[str]:
    """What to try, best first: the current release, then those before it; an abandoned one last."""
    names = list(dict.fromkeys(reversed(history(folder))))
    return [*names[1:], *names[:1]] if abandoned(folder) else names


def _whole(folder: Folder, name: str) -> Path:
    return checked(folder, name, verify=False).path  # the checksums are compared as it loads


def _release_of(path: Path) -> str:
    return short(bundle.read(path, verify=False).id)


def _load(path: Path, threads: int | None, engine: Wish) -> Voice:
    from edgevoice.runtime.voice import Voice

    return Voice.load(path, threads, own_process=True, engine=engine)


def _load_beside(path: Path, threads: int | None, engine: Wish, holds_gpu: bool) -> Voice:
    """Load it while another voice speaks. Raises `Anew` where there is no memory for both, planned or found:
    a voice for the GPU must not end on the CPU for the other's sake. But not for the GPU's memory where the
    other has none of it: a process that begins anew would find no more."""
    from edgevoice.runtime.engines import room
    from edgevoice.runtime.engines.cuda import CudaError

    for there in room.beside(bundle.read(path, verify=False), engine):
        if not there.enough and (holds_gpu or not there.gpu):
            of_what = " of the GPU's memory" if there.gpu else ""
            needs, free = megabytes(there.needs), megabytes(there.free)
            raise Anew(f"two voices need {needs} more{of_what} and {free} are free")
    try:
        voice = _load(path, threads, engine)
    except CudaError as error:
        if error.lost or (error.memory and holds_gpu):
            raise Anew(str(error)) from None
        raise
    if voice.lost:
        raise Anew(f"this process has lost the GPU: {voice.remark}")
    if voice.no_room and holds_gpu:
        raise Anew(f"two voices do not fit: {voice.remark}")
    return voice
