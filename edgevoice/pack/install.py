"""Install a pack on a device that has edgevoice, and look into one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgevoice import bundle
from edgevoice.deploy import local
from edgevoice.deploy.layout import Folder, refuse_place
from edgevoice.deploy.lock import still
from edgevoice.deploy.stage import SPARE_BYTES
from edgevoice.errors import EdgevoiceError
from edgevoice.pack.incoming import explain, work_folder
from edgevoice.pack.reader import Pack, PackError, opened
from edgevoice.signing import openssh
from targets.render import megabytes

Deploy = Callable[[Path], local.Deployment]


@dataclass(frozen=True)
class Contents:
    """What a pack holds, all of it checked. ``signer``: the fingerprint that the signature names."""

    path: Path
    voice: str
    release: str
    serial: int
    signer: str
    kit: bool
    bytes: int


def install(path: str | Path, root: str | Path, deploy: Deploy) -> local.Deployment:
    """Take the pack ``path`` apart inside ``root`` and let ``deploy`` install the bundle that was in it.

    Raises `EdgevoiceError` for anything cut, altered or foreign, with what speaks in ``root`` untouched.
    """
    folder = Folder(Path(root).absolute())
    with explained(folder), opened(Path(path)) as pack:
        refuse_place(folder.root)
        with work_folder(folder.root) as work:
            return deploy_unpacked(pack, work, deploy)


def deploy_unpacked(pack: Pack, work: Path, deploy: Deploy) -> local.Deployment:
    """Write the pack's bundle anew into ``work``, check it, install it."""
    _check_space(pack, work)
    found = unpack(pack, work / "bundle")
    try:
        return deploy(found.path)
    except EdgevoiceError as error:  # the user knows the pack, not the folder that it was taken apart in
        raise EdgevoiceError(str(error).replace(str(found.path), str(pack.path))) from None


def unpack(pack: Pack, folder: Path) -> bundle.Bundle:
    """The pack's bundle in the new ``folder``: checked against the index, then against its own manifest."""
    try:
        found = bundle.read(pack.extract("bundle", folder))
    except EdgevoiceError as error:
        raise EdgevoiceError(f"{pack.path}: {str(error).replace(str(folder), 'its bundle')}") from None
    known = {bundle.MANIFEST, bundle.SIGNATURE, *found.manifest.files}
    if strange := set(pack.names("bundle")) - known:
        raise EdgevoiceError(
            f"{pack.path} holds {min(strange)}, which its manifest does not name: pack it again"
        )
    if (found.id, found.manifest.serial) != (pack.index["release"], pack.index["serial"]):
        raise EdgevoiceError(f"{pack.path} holds another bundle than its index says: pack it again")
    return found


def contents(path: str | Path, scratch: Path) -> Contents:
    """Check all of a pack; ``scratch`` is an empty folder with room for its bundle."""
    with said(), opened(Path(path)) as pack:
        for name in pack.files:
            if not name.startswith("bundle/"):
                pack.check(name)
        found = unpack(pack, scratch / "bundle")
        signer = openssh.signer(found.signature.read_bytes()) if found.signature else None
        return Contents(
            Path(path),
            found.manifest.voice.name,
            found.id,
            found.manifest.serial,
            signer.fingerprint if signer else "",
            bool(pack.names("kit")),
            Path(path).stat().st_size,
        )


@contextmanager
def said() -> Iterator[None]:
    """The reader's errors as edgevoice's: it has to do without them."""
    try:
        yield
    except PackError as error:
        raise EdgevoiceError(str(error)) from None


@contextmanager
def explained(folder: Folder) -> Iterator[None]:
    """Turn what the pack or the system refuses into one line that says what speaks now."""
    try:
        yield
    except PackError as error:
        raise EdgevoiceError(f"{error}; {still(folder)}") from None
    except OSError as error:
        raise EdgevoiceError(f"{explain(error, folder.root)}; {still(folder)}") from None


def _check_space(pack: Pack, work: Path) -> None:
    free, needs = shutil.disk_usage(work).free, pack.bytes_of("bundle") + SPARE_BYTES
    if free < needs:
        raise PackError(
            f"{work.parent.parent} has {megabytes(free)} free and unpacking needs {megabytes(needs)}: "
            f"free {megabytes(needs - free)} and try again"
        )
