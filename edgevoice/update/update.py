"""Look where the device was told to, and install what is newer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgevoice import bundle
from edgevoice.deploy import local
from edgevoice.deploy.layout import Folder, refuse_place
from edgevoice.deploy.lock import saying_what_speaks
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.incoming import work_folder
from edgevoice.pack.install import deploy_unpacked, explained
from edgevoice.pack.reader import PackError, opened
from edgevoice.signing.ring import ring_of
from edgevoice.update import config as configs
from edgevoice.update import https, newer
from edgevoice.update.config import Config

Deploy = Callable[[Path], local.Deployment]


@dataclass(frozen=True)
class Outcome:
    """``done``: the new release, None if nothing was newer. ``reason``: why not."""

    source: str
    done: local.Deployment | None
    reason: str = ""


def update(root: str | Path, deploy: Deploy) -> Outcome:
    """Install, by ``deploy``, what the source of ``root`` holds if it is newer.

    Raises `EdgevoiceError` where updates are off, and where the source is missing, cut, altered or foreign;
    what speaks then still speaks.
    """
    folder = Folder(Path(root).absolute())
    if not folder.root.is_dir():
        raise EdgevoiceError(f"{root} is no folder: name the deployed folder")
    refuse_place(folder.root)
    configs.refuse_root_over_a_users_folder(folder.root)
    config = configs.read(folder.root)
    if config.require_signature and not ring_of(folder.root).in_use:
        raise EdgevoiceError(
            f"updates must be signed and {root} trusts no key: `edgevoice keys trust {root} KEY.pub`, "
            f"or write require_signature = false into {folder.root / configs.NAME}"
        )
    with explained(folder), work_folder(folder.root) as work:
        if config.is_address:
            return _from_address(config, folder, work, deploy)
        return _from_path(config, folder, work, deploy)


def _from_path(config: Config, folder: Folder, work: Path, deploy: Deploy) -> Outcome:
    with saying_what_speaks(folder):
        place = newer.find(Path(config.source))
    if not place.is_dir():
        return _from_pack(place, str(place), folder, work, deploy)
    found = bundle.read(place, verify=False)
    reason = newer.why_not(folder, found.id, found.manifest.serial)
    return Outcome(str(place), None, reason) if reason else Outcome(str(place), deploy(place))


def _from_address(config: Config, folder: Folder, work: Path, deploy: Deploy) -> Outcome:
    download = https.Download(work.parent)
    with saying_what_speaks(folder):
        reason = https.fetch(
            config.source,
            config.ca_file,
            config.most_megabytes * 1_000_000,
            download,
            lambda index: newer.why_not(folder, index["release"], index["serial"]),
        )
    if reason:
        return Outcome(config.source, None, reason)
    try:
        return _from_pack(download.part, config.source, folder, work, deploy)
    finally:
        download.forget()


def _from_pack(path: Path, source: str, folder: Folder, work: Path, deploy: Deploy) -> Outcome:
    try:
        with opened(path) as pack:
            reason = newer.why_not(folder, pack.index["release"], pack.index["serial"])
            if reason:
                return Outcome(source, None, reason)
            return Outcome(source, deploy_unpacked(pack, work, deploy))
    except (PackError, EdgevoiceError) as error:
        raise type(error)(str(error).replace(str(path), source)) from None
