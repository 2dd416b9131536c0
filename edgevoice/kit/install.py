"""Install a kit's runtime on a device that has Python and nothing else: standard library only.

    python3 KIT/install.py ROOT

One file, though a long one, for it travels alone: in a kit, in a pack, and as text in an SSH session.

::

    ROOT/runtimes/HASH16/           an environment; HASH16 begins the SHA-256 of the kit's lock file
    ROOT/runtimes/HASH16/complete   written last: without it the folder is rubbish
    ROOT/runtimes/HASH16/kit/       the lock file and the wheels, so the next kit brings only what changed
    ROOT/runtimes/for/RELEASE       link to the runtime that RELEASE was heard with
    ROOT/runtime                    link to the newest runtime
    ROOT/bin/edgevoice              starts the runtime of the release that speaks

A release and its runtime change places together, because one link, ``current``, decides both.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Iterator  # noqa: UP035 - read by Python 3.8 too, to say that it is too old

LOCK = "kit.json"
SCHEMA = 1
NAME_DIGITS = 16
LARGEST_LOCK = 1 << 20
INSTALL_SECONDS = 3600
DEPLOY_SECONDS = 3600
PATIENCE_SECONDS = 10.0
MARK = "edgevoice.lock"
SESSION = "session.lock"
"""Held by whoever sends to this folder; the folder itself and its mark are locked by the deploy that runs."""
BESIDE = {"arriving", "bin", "engines", "incoming", "keys", "runtime", "runtimes", SESSION, "update.toml"}
"""What of ours may lie in a folder that no release came to yet."""

HELD: list[int] = []
"""Locks that a child inherits: where this process is killed, they hold until the child has ended too."""

WHEEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._]*)-([A-Za-z0-9][A-Za-z0-9._+!]*)(-[A-Za-z0-9._]+){3,4}\.whl\Z")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(rf"[0-9a-f]{{{NAME_DIGITS}}}\Z")

_RUN_PIP = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
    "runpy.run_module('pip', run_name='__main__', alter_sys=True)"
)
# The lock is held until the process ends, so a runtime in use is never removed.
_START = """\
import fcntl
import os
import sys
mark = os.open(__file__, os.O_RDONLY)
fcntl.flock(mark, fcntl.LOCK_SH)
sys.argv[0] = "edgevoice"
from edgevoice.cli import main
main()
"""
_LAUNCHER = """\
#!/bin/sh
# Starts the runtime that belongs to the release that speaks. Links are followed here, once: an update under a
# running process mixes nothing.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
release=$(readlink "$root/current" 2>/dev/null)
home=$(readlink -f "$root/runtimes/for/${release##*/}" 2>/dev/null)
[ -n "$release" ] && [ -e "$home/complete" ] || home=$(readlink -f "$root/runtime")
[ -e "$home/complete" ] || { echo "error: $root has no whole runtime: deploy again" >&2; exit 2; }
exec "$home/bin/python" -I "$home/start.py" "$@"
"""


class InstallError(Exception):
    """One line for the user."""


def read_lock(kit: Path) -> tuple[dict[str, Any], str]:
    """The checked lock file of a kit and the name of its runtime. Raises `InstallError`."""
    path = kit / LOCK
    try:
        with open(path, "rb") as stream:
            raw = stream.read(LARGEST_LOCK)
    except OSError as error:
        raise InstallError(f"{kit} is no kit: {LOCK} cannot be read ({error.strerror})") from None
    try:
        lock = json.loads(raw)
        problem = _fault(lock)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        problem = "it is no lock file"
    if problem:
        raise InstallError(f"{path}: {problem}: make the kit again")
    return lock, hashlib.sha256(raw).hexdigest()[:NAME_DIGITS]


def _fault(lock: dict[str, Any]) -> str:
    if lock["schema"] != SCHEMA:
        return f"schema version {lock['schema']!r}, this installer reads {SCHEMA}"
    if not re.match(r"3\.[0-9]+\Z", lock["python"]) or not re.match(r"\w+\Z", lock["machine"]):
        return "it names no Python and machine"
    for name, record in lock["wheels"].items():
        if not WHEEL.match(name):
            return f"unsafe file name {name!r}"
        if not _SHA256.match(record["sha256"]) or type(record["bytes"]) is not int or record["bytes"] < 0:
            return f"{name} has no checksum"
    missing = [key for key in ("pip", "edgevoice") if lock[key] not in lock["wheels"]]
    return f"its {missing[0]} is missing" if missing else ""


def refusal(lock: dict[str, Any]) -> str:
    """Why this device cannot run what the kit holds; empty where it can."""
    if sys.version_info < (3, 10):  # noqa: UP036
        return f"edgevoice needs Python 3.10 or newer, this is {platform.python_version()}"
    python, machine = "{}.{}".format(*sys.version_info), platform.machine()
    if (python, machine) != (lock["python"], lock["machine"]) or sys.maxsize < 1 << 32:
        return (
            f"the kit is for Python {lock['python']} on {lock['machine']}, this is {python} on {machine}: "
            f"make one with `edgevoice kit --python {python} --machine {machine}`"
        )
    have, need = glibc(), lock.get("glibc", "0")
    if _numbers(have) < _numbers(need):
        return f"the kit needs glibc {need} or newer, this system has {have or 'none'}"
    return ""


def glibc() -> str:
    """The version of the C library, empty where it is not GNU's."""
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError, AttributeError):
        return ""
    return found.rpartition(" ")[2]


def _numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"[0-9]+", version)]


def claim(root: Path) -> None:
    """Make ``root`` a folder of ours. Raises `InstallError` if it holds other things or cannot be written."""
    if root.exists() and not root.is_dir():
        raise InstallError(f"{root} is a file: name a folder to deploy into")
    with _explained(root):
        root.mkdir(parents=True, exist_ok=True)
        if not (root / MARK).is_file() and {path.name for path in root.iterdir()} - BESIDE:
            raise InstallError(f"{root} holds other things: name an empty or new folder to deploy into")
        with open(root / MARK, "ab"):
            pass


def install(kit: Path, root: Path) -> Path:
    """Make the kit's runtime under ``root``, or find it there; returns its folder. Raises `InstallError`."""
    os.umask(0o022)
    lock, name = read_lock(kit)
    problem = refusal(lock)
    if problem:
        raise InstallError(problem)
    claim(root)
    home = root / "runtimes" / name
    with _explained(root), _alone(root / "runtimes"):
        if not is_complete(home):
            shutil.rmtree(home, ignore_errors=True)
            try:
                _make(home, kit, lock, root)
            except BaseException:
                shutil.rmtree(home, ignore_errors=True)
                raise
        _write_launcher(root)
        if not os.path.lexists(root / "runtime"):
            _link(root / "runtime", f"runtimes/{name}")
    return home


def is_complete(home: Path) -> bool:
    return (home / "complete").is_file()


def _make(home: Path, kit: Path, lock: dict[str, Any], root: Path) -> None:
    wheels = home / "kit"
    wheels.mkdir(parents=True)
    for name, record in lock["wheels"].items():
        _take(kit / name, wheels / name, record, share=root.resolve() in kit.resolve().parents)
    shutil.copyfile(kit / LOCK, wheels / LOCK)
    _run(
        [
            sys.executable,
            "-I",
            "-m",
            "venv",
            "--without-pip",
            "--system-site-packages",
            "--symlinks",
            str(home),
        ]
    )
    pinned = [requirement(name, record) for name, record in lock["wheels"].items() if name != lock["pip"]]
    (home / "requirements.txt").write_text("".join(pinned), encoding="utf-8")
    python = [str(home / "bin/python"), "-I"]
    pip = [*python, "-c", _RUN_PIP, str(wheels / lock["pip"]), "install", "--no-index", "--require-hashes"]
    pip += ["--find-links", str(wheels), "--ignore-installed", "--no-compile", "--no-cache-dir", "--no-input"]
    pip += ["--quiet", "--disable-pip-version-check", "--no-warn-script-location"]
    (home / "tmp").mkdir()
    _run([*pip, "--requirement", str(home / "requirements.txt")], TMPDIR=str(home / "tmp"))
    shutil.rmtree(home / "tmp")
    (home / "start.py").write_text(_START, encoding="ascii")
    _run([*python, str(home / "start.py"), "--version"])
    _sync(home)
    _write(home / "complete", b"")
    _sync_folder(home)


def _take(source: Path, destination: Path, record: dict[str, Any], share: bool) -> None:
    """Copy a wheel, or link it; what lies there afterwards is what was checked."""
    try:
        if share:
            os.link(source, destination)
        else:
            _copy(source, destination)
        plain = stat.S_ISREG(os.lstat(destination).st_mode)
        right = plain and os.path.getsize(destination) == record["bytes"]
        if not right or sha256(destination) != record["sha256"]:
            raise InstallError(
                f"{source} was changed or cut short: its checksum differs, make or copy the kit again"
            )
    except FileNotFoundError:
        raise InstallError(f"{source} is missing: copy the whole kit again") from None


def _copy(source: Path, destination: Path) -> None:
    if not stat.S_ISREG(os.lstat(source).st_mode):
        raise InstallError(f"{source} is no plain file: make or copy the kit again")
    shutil.copyfile(source, destination)


def requirement(name: str, record: dict[str, Any]) -> str:
    found = WHEEL.match(name)
    assert found
    return f"{found[1]}=={found[2]} --hash=sha256:{record['sha256']}\n"


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _run(command: list[str], **extra: str) -> None:
    environment = {**_environment(), **extra, "PIP_CONFIG_FILE": os.devnull}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            timeout=INSTALL_SECONDS,
            pass_fds=HELD,
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"making the runtime took more than {INSTALL_SECONDS} s") from None
    if done.returncode:
        raise InstallError(f"the runtime could not be made: {last_line(done.stderr) or done.returncode}")


def last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or [""])[-1]


def deploy(root: Path, home: Path, bundle: Path, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Let the runtime ``home`` install ``bundle``, which speaks with that runtime from then on.

    What the command printed is JSON. Raises `InstallError` where there is nothing to run.
    """
    try:
        release = sha256(bundle / "manifest.json")[:NAME_DIGITS]
    except OSError as error:
        raise InstallError(
            f"{bundle} is no bundle: manifest.json cannot be read ({error.strerror})"
        ) from None
    with _explained(root):
        new = not (root / "releases" / release).exists()
        if new:  # an installed one keeps the runtime it was heard with until it is heard with this one
            bind(root, release, home)
        done = run(home, ["deploy", str(bundle), str(root), "--json", *arguments])
        with _alone(root / "runtimes"):
            if done.returncode == 0:
                bind(root, release, home)
                _link(root / "runtime", f"runtimes/{home.name}")
            prune(root, home)
    return done


def current_home(root: Path) -> Path:
    """The runtime that the launcher takes now."""
    release = os.path.basename(os.path.realpath(root / "current"))
    for link in (root / "runtimes" / "for" / release, root / "runtime"):
        home = Path(os.path.realpath(link))
        if is_complete(home):
            return home
    raise InstallError(f"{root} has no whole runtime: deploy with a kit")


def run(home: Path, arguments: list[str]) -> subprocess.CompletedProcess[bytes]:
    """Run a verb of the runtime in ``home``."""
    command = [str(home / "bin/python"), "-I", str(home / "start.py"), *arguments]
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "env": _environment()}
    return subprocess.run(command, timeout=DEPLOY_SECONDS, pass_fds=HELD, **quiet)


def _environment() -> dict[str, str]:
    """Without what would lead pip or Python to other places."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))}


def bind(root: Path, release: str, home: Path) -> None:
    """Have the launcher take the runtime ``home`` while ``release`` speaks."""
    (root / "runtimes" / "for").mkdir(exist_ok=True)
    _link(root / "runtimes" / "for" / release, f"../{home.name}")


def prune(root: Path, keep: Path) -> None:
    """Remove the runtimes that no release, no process and not ``keep`` needs."""
    needed = {keep.name, Path(os.path.realpath(root / "runtime")).name}
    for link in sorted((root / "runtimes" / "for").glob("*")):
        if (root / "releases" / link.name).exists():
            needed.add(Path(os.path.realpath(link)).name)
        else:
            link.unlink()
    for home in sorted((root / "runtimes").iterdir()):
        if _NAME.match(home.name) and home.name not in needed and not _in_use(home):
            with contextlib.suppress(OSError):
                (home / "complete").unlink()
            shutil.rmtree(home, ignore_errors=True)


def _in_use(home: Path) -> bool:
    try:
        mark = os.open(home / "start.py", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        return not try_lock(mark)
    finally:
        os.close(mark)


def try_lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise InstallError(f"another deploy into {folder.parent} is running: wait until it has ended")
            time.sleep(0.05)
        HELD.append(descriptor)
        yield
    finally:
        HELD[:] = [held for held in HELD if held != descriptor]
        os.close(descriptor)


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or root
        raise InstallError(f"{where}: {error.strerror or error}; nothing was switched") from None
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"{' '.join(error.cmd[3:5])} took more than {error.timeout} s") from None


def _write_launcher(root: Path) -> None:
    place = root / "bin" / "edgevoice"
    place.parent.mkdir(exist_ok=True)
    if not place.is_file() or place.read_text(encoding="utf-8", errors="replace") != _LAUNCHER:
        new = place.with_name(".edgevoice.new")
        _write(new, _LAUNCHER.encode("ascii"))
        new.chmod(0o755)
        os.replace(new, place)


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _link(place: Path, target: str) -> None:
    if os.path.islink(place) and os.readlink(place) == target:
        return
    new = place.with_name(f".{place.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    os.symlink(target, new)
    os.replace(new, place)
    _sync_folder(place.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """One call for thousands of files; Python lacks Linux's syncfs."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if ctypes.CDLL(None).syncfs(descriptor):
            os.sync()
    finally:
        os.close(descriptor)


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print(f"usage: {sys.argv[0]} ROOT", file=sys.stderr)
        return 2
    try:
        root = Path(sys.argv[1]).absolute()
        install(Path(__file__).resolve().parent, root)
    except InstallError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{root}/bin/edgevoice is ready")
    return 0


if __name__ == "__main__":
    sys.exit(main())
