"""Put a release into a local folder, check it, switch to it, go back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from edgevoice import bundle
from edgevoice.deploy import engines, isolate
from edgevoice.deploy import stage as staging
from edgevoice.deploy.layout import (
    HISTORY,
    Folder,
    State,
    checked,
    current_name,
    history,
    installed,
    is_deployed,
    on_trial,
    open_folder,
    prepare_switch,
    previous_name,
    refuse_place,
    resolve,
    short,
    switch,
    write_state,
)
from edgevoice.deploy.listing import Release, Status, by_age, describe, releases, status
from edgevoice.deploy.lock import explained, locked, saying_what_speaks, still
from edgevoice.deploy.selftest import Report
from edgevoice.errors import EdgevoiceError
from edgevoice.kit import launcher
from edgevoice.options import Wish
from edgevoice.runtime.find import find
from edgevoice.signing import check as signing

__all__ = ["Deployment", "Release", "Report", "Status", "commit", "deploy", "go_back_if_on_trial"]
__all__ += ["is_deployed", "releases", "resolve", "rollback", "status"]

KEEP = 3

SelfTest = Callable[[Path, "int | None", Wish], Report]
"""Judges the bundle in a folder. The number is the memory budget in bytes, None for what is available; the
wish is the engine that it must speak by."""


@dataclass(frozen=True)
class Deployment:
    """What a deploy did. ``linked_bytes``: shared with releases that were there already. ``remark``: why it
    will speak with other engines than it was made for, or empty."""

    release: Release
    copied_bytes: int
    linked_bytes: int
    report: Report
    remark: str = ""


def deploy(
    bundle_path: str | Path,
    root: str | Path,
    *,
    keep: int = KEEP,
    budget: int | None = None,
    trial: bool = False,
    allow_older: bool = False,
    self_test: SelfTest = isolate.run,
    engine: Wish = "",
    note: Callable[[str], None] = lambda _: None,
) -> Deployment:
    """Install the bundle that `edgevoice.runtime.find` finds for ``bundle_path`` into ``root``; let it speak.

    ``keep``: releases that stay, the current and the previous one always among them. ``budget``: bytes of
    memory. ``trial``: the release must be committed with `commit`, else `go_back_if_on_trial` leaves it.
    Where ``root`` trusts keys, one of them must have signed the bundle, and its serial must not be lower than
    the newest that was there, unless with ``allow_older``. Engines are built before the release is heard;
    ``engine`` "tensorrt" refuses one that could not speak with them, ``note`` is told what takes minutes.
    Raises `EdgevoiceError` with the old release untouched and nothing half-written left.
    """
    folder = Folder(Path(root).absolute())
    with explained(folder):
        source = bundle.read(find(bundle_path))
        _refuse_place(folder, source)
        with locked(folder):
            name = short(source.id)
            with saying_what_speaks(folder):
                signing.require(folder.root, source)
                if not allow_older and name != current_name(folder):
                    signing.refuse_older(folder.root, source)
            link = prepare_switch(folder, name)
            with _withdrawn_on_failure(folder, name):
                hear = partial(_hear, folder, source, budget, self_test, engine, note)
                done = _install(source, folder, hear)
                signing.note_serial(folder.root, source.manifest.serial, folder.staging)
                if name != current_name(folder):  # what speaks goes on with the runtime that it speaks with
                    launcher.bind(folder.root, name)
                _let_speak(folder, name, link, trial)
            _prune(folder, keep)
            engines.prune(folder, note)
            return replace(done, release=describe(folder, name))


def rollback(root: str | Path, to: str | None = None) -> Release:
    """Let the release before the current one speak again, or the one whose name begins with ``to``.

    The release is checked first, checksums included. A second rollback goes one further back.
    """
    folder = open_folder(root)
    with explained(folder), locked(folder):
        name = _named(folder, to) if to else previous_name(folder)
        if name is None:
            raise EdgevoiceError(f"{root} has no earlier release to go back to; {still(folder)}")
        checked(folder, name, verify=True)
        link = prepare_switch(folder, name)
        if to:
            _let_speak(folder, name, link, trial=False)
        else:
            switch(folder, link)
        return describe(folder, name)


def commit(root: str | Path) -> Release:
    """Keep the current release: the trial that ``deploy(..., trial=True)`` began has gone well."""
    folder = open_folder(root)
    with explained(folder), locked(folder):
        name = current_name(folder)
        if name is None:
            raise EdgevoiceError(f"{root} has no release to commit")
        if on_trial(folder):
            write_state(folder, State(history=history(folder)))
        return describe(folder, name)


def go_back_if_on_trial(root: str | Path) -> Release | None:
    """Leave a release that was never committed for the newest whole one before it.

    None if nothing had to be done, or there is nothing whole to go back to: an untried voice beats none.
    """
    folder = open_folder(root)
    with explained(folder), locked(folder):
        if not on_trial(folder):
            return None
        for name in reversed(history(folder)[:-1]):
            if not describe(folder, name, verify=True).problem:
                switch(folder, prepare_switch(folder, name))
                return describe(folder, name)
        return None


def _refuse_place(folder: Folder, source: bundle.Bundle) -> None:
    root = folder.root
    refuse_place(root)
    home = source.path.resolve()
    if root.resolve() == home or home in root.resolve().parents:
        raise EdgevoiceError(f"{root} lies inside the bundle: name a folder beside it")


@contextmanager
def _withdrawn_on_failure(folder: Folder, name: str) -> Iterator[None]:
    """Take a new release out again if it never came to speak: on a full disk its space is needed."""
    before = installed(folder)
    try:
        yield
    except OSError:
        if name in installed(folder) and name not in before and name != current_name(folder):
            os.rename(folder.release(name), folder.staging / f"withdrawn.{name}")
        raise


def _install(source: bundle.Bundle, folder: Folder, hear: Callable[[Path], tuple[Report, str]]) -> Deployment:
    """Have the bundle among the releases, checked and heard; what is there and whole is not copied."""
    name = short(source.id)
    if name in installed(folder) and _serves(source, describe(folder, name, verify=True)):
        report, remark = hear(folder.release(name))
        return Deployment(Release(name, folder.release(name)), 0, 0, report, remark)
    work = staging.plan(source, folder)
    staging.check_space(work, folder)
    place = folder.staging / name
    signing.require(folder.root, staging.stage(source, work, place))
    report, remark = hear(place)
    folder.releases.mkdir(exist_ok=True)
    bundle.replace_folder(place, folder.release(name))
    bundle.sync_folder(folder.root)
    return Deployment(Release(name, folder.release(name)), work.copy_bytes, work.link_bytes, report, remark)


def _serves(source: bundle.Bundle, there: Release) -> bool:
    """Whether the installed release does as it is: whole, and signed as ``source`` is if that is signed."""
    if there.problem or source.signature is None:
        return not there.problem
    signature = there.path / bundle.SIGNATURE
    return signature.is_file() and signature.read_bytes() == source.signature.read_bytes()


def _hear(
    folder: Folder,
    source: bundle.Bundle,
    budget: int | None,
    self_test: SelfTest,
    engine: Wish,
    note: Callable[[str], None],
    place: Path,
) -> tuple[Report, str]:
    """Let the release in ``place`` speak with the engines that it will have; the report, and their remark."""
    remark = engines.build(source.manifest, place, folder, engine, note)
    report = self_test(place, budget, engine)
    if report.problems:
        problems = "; ".join(report.problems)
        raise EdgevoiceError(f"release {short(source.id)} failed its self-test: {problems}; {still(folder)}")
    return report, remark


def _let_speak(folder: Folder, name: str, link: Path, trial: bool) -> None:
    if name != current_name(folder):
        names = [*history(folder), name][-HISTORY:]
        write_state(folder, State(history=names, trial=name if trial else None))
        switch(folder, link)
    elif on_trial(folder) and not trial:
        write_state(folder, State(history=history(folder)))


def _named(folder: Folder, prefix: str) -> str:
    names = [name for name in installed(folder) if name.startswith(prefix.lower())]
    if len(names) != 1:
        there = ", ".join(by_age(folder)) or "none"
        raise EdgevoiceError(f"{prefix!r} names {len(names)} releases in {folder.root}, which has: {there}")
    return names[0]


def _prune(folder: Folder, keep: int) -> None:
    """Out of ``releases`` by a rename first: what is half removed never looks like a release."""
    needed = {current_name(folder), previous_name(folder)}
    for name in by_age(folder)[max(keep, 1) :]:
        if name not in needed:
            gone = folder.staging / f"pruned.{name}"
            os.rename(folder.release(name), gone)
            shutil.rmtree(gone, ignore_errors=True)
