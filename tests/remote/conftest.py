"""A device on the loopback: a server, a kit, and a folder in which an old release speaks."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from deploy.deploy_bundles import make
from remote import fake_kit, sshd
from serve.running import until

from edgevoice.deploy.layout import resolve
from edgevoice.remote.deploy import Options, Outcome, deploy

SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture(scope="session")
def work() -> Iterator[Path]:
    """In memory where that is possible: installing syncs a lot."""
    usable = os.access(SHARED_MEMORY, os.W_OK) and not os.statvfs(SHARED_MEMORY).f_flag & os.ST_NOEXEC
    with tempfile.TemporaryDirectory(
        prefix="edgevoice-remote-", dir=SHARED_MEMORY if usable else None
    ) as folder:
        yield Path(folder)


@pytest.fixture
def scratch(work: Path) -> Iterator[Path]:
    """A folder on the same file system, so that copies are links."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def server(work: Path) -> Iterator[sshd.Server]:
    with sshd.serve(work / "sshd", fake_kit.base_python()) as running:
        yield running


@pytest.fixture(scope="session")
def kit(work: Path) -> Path:
    return fake_kit.make_kit(work / "kit")


@pytest.fixture(scope="session")
def old(work: Path) -> Path:
    return make(work, "old")


@pytest.fixture(scope="session")
def new(work: Path) -> Path:
    """Another voice that shares two stages with the old one."""
    return make(work, "new", vocoder=1)


@pytest.fixture(scope="session")
def first(work: Path, server: sshd.Server, kit: Path, old: Path) -> tuple[Path, Outcome]:
    """The folder after a first deploy, and what that said. Do not write to it."""
    root = work / "first"
    return root, deploy(old, server.host(root), server.ssh(), Options(kit=str(kit)))


@dataclass(frozen=True)
class Device:
    """A copy of that folder, and how to deploy into it."""

    root: Path
    server: sshd.Server
    kit: Path

    def deploy(self, bundle: Path, options: Options | None = None, **rest: bool) -> Outcome:
        chosen = options or Options(kit=str(self.kit))
        return deploy(bundle, self.server.host(self.root), self.server.ssh(), chosen, **rest)

    def speaks(self) -> str:
        """The release that speaks now; that it is whole is looked at."""
        before = (self.root / "current").resolve()
        place = resolve(self.root).resolve()
        # A deploy that goes on may switch between the looks.
        assert place in (before, (self.root / "current").resolve())
        return place.name


@pytest.fixture
def device(first: tuple[Path, Outcome], server: sshd.Server, kit: Path, work: Path) -> Iterator[Device]:
    with tempfile.TemporaryDirectory(dir=work) as folder:
        yield Device(copy(first[0], Path(folder) / "root"), server, kit)
        until(lambda: not users(Path(folder)), "the end of what the device does by itself")


@pytest.fixture
def empty(server: sshd.Server, kit: Path, work: Path) -> Iterator[Device]:
    """A device on which nothing was ever installed."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        yield Device(Path(folder) / "root", server, kit)
        until(lambda: not users(Path(folder)), "the end of what the device does by itself")


def users(folder: Path) -> list[int]:
    """The processes that hold a file below this folder open: a deploy that goes on holds its locks there."""
    below = f"{folder.resolve()}/"
    found = set()
    for opened in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):  # the process, or the file, is gone
            if os.readlink(opened).startswith(below):
                found.add(int(opened.parts[2]))
    return sorted(found)


def copy(source: Path, destination: Path) -> Path:
    """A deployed folder with links to the same large files, but a lock of its own."""
    shutil.copytree(source, destination, symlinks=True, copy_function=_link)
    return destination


def _link(source: str, destination: str) -> None:
    if source.endswith(".lock"):
        shutil.copyfile(source, destination)
    else:
        os.link(source, destination)


@pytest.fixture
def another_server(work: Path) -> Iterator[Callable[[str], sshd.Server]]:
    """``another_server(lines)``: a server with further lines in its configuration."""
    with contextlib.ExitStack() as running:
        yield lambda extra: running.enter_context(
            sshd.serve(Path(tempfile.mkdtemp(dir=work)), fake_kit.base_python(), extra)
        )
