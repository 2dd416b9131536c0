"""Bring a bundle's files beside the running release: link what is there already, copy the rest, sync all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgevoice import bundle
from edgevoice.deploy.layout import Folder, installed
from edgevoice.errors import EdgevoiceError
from edgevoice.progress import track
from targets.render import megabytes

# Folders, the manifest, the state and what the file system itself takes.
SPARE_BYTES = 1 << 20


@dataclass(frozen=True)
class Plan:
    """``links``: by name in the new release, files that an older one holds. ``copies``: the others."""

    links: dict[str, Path]
    copies: tuple[str, ...]
    copy_bytes: int
    link_bytes: int


def plan(source: bundle.Bundle, folder: Folder) -> Plan:
    wanted = source.manifest.files
    held = dict(_held({record.sha256 for record in wanted.values()}, folder))
    held = {digest: file for digest, file in held.items() if _links(file, folder)}
    links = {name: held[record.sha256] for name, record in wanted.items() if record.sha256 in held}
    copies = tuple(name for name in wanted if name not in links)
    return Plan(
        links,
        copies,
        sum(wanted[name].bytes for name in copies),
        sum(wanted[name].bytes for name in links),
    )


def check_space(needed: Plan, folder: Folder) -> None:
    """Refuse before the first byte is written."""
    free = shutil.disk_usage(folder.root).free
    needs = needed.copy_bytes + SPARE_BYTES
    if free < needs:
        raise EdgevoiceError(
            f"{folder.root} has {megabytes(free)} free and the release needs {megabytes(needs)}: "
            f"free {megabytes(needs - free)} and deploy again"
        )


def stage(source: bundle.Bundle, work: Plan, destination: Path) -> bundle.Bundle:
    """Fill ``destination`` (which must not exist) and read it back: it is on disk and equal to ``source``."""
    destination.mkdir()
    for name, held in work.links.items():
        _link(held, destination / name)
    for name in track(work.copies, "copying files"):
        _copy(source.file(name), destination / name)
    _copy(source.file(bundle.MANIFEST), destination / bundle.MANIFEST)
    if source.signature:
        _copy(source.signature, destination / bundle.SIGNATURE)
    destination.chmod(0o755)
    bundle.sync_folder(destination)
    staged = bundle.read(destination)
    if staged.id != source.id:
        raise EdgevoiceError(f"{source.path} changed while it was copied: deploy again once it is finished")
    return staged


def _held(wanted: set[str], folder: Folder) -> Iterator[tuple[str, Path]]:
    """Files of installed releases with a wanted checksum: the true one, not what their manifest says."""
    found: set[str] = set()
    for name in installed(folder):
        try:
            release = bundle.read(folder.release(name), verify=False)
        except (EdgevoiceError, OSError):
            continue
        for file, record in release.manifest.files.items():
            fresh = record.sha256 in wanted and record.sha256 not in found
            if fresh and bundle.sha256(release.file(file)) == record.sha256:
                found.add(record.sha256)
                yield record.sha256, release.file(file)


def _links(file: Path, folder: Folder) -> bool:
    """Whether ``file`` takes one more hard link: tried, for a file system without them does not say so."""
    probe = folder.staging / ".link"
    try:
        os.link(file, probe)
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def _link(held: Path, destination: Path) -> None:
    try:
        os.link(held, destination)
    except OSError:  # none more since the plan was made: a copy serves as well
        _copy(held, destination)


def _copy(source: Path, destination: Path) -> None:
    shutil.copyfile(source, destination)
    # Read-only, because a later release may share the file by a hard link.
    destination.chmod(0o444)
    descriptor = os.open(destination, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
