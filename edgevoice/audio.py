"""Where sound goes: a file, standard output, or the loudspeaker through ALSA's ``aplay``."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import subprocess
import sys
import threading
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from edgevoice.errors import EdgevoiceError

if TYPE_CHECKING:  # a client of a running service does without
    import numpy as np
    import numpy.typing as npt

    Float = npt.NDArray[np.float32]

PARTIAL = ".edgevoice-partial"
"""Ending of a sound file that is being written; its name begins with a dot."""

_NAME = 40  # characters of the target's name in it: a name has 255 bytes at most

FORMATS = {"": "WAV", ".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}


class Sink(Protocol):
    def write(self, pcm: bytes) -> None:
        """Take signed 16-bit little-endian samples."""
        ...


def pcm16(sound: Float) -> bytes:
    """16-bit little-endian samples of f32 [n] in [-1, 1]; -1 and 1 are the same distance from zero."""
    import numpy as np

    return np.asarray(np.rint(sound * 32767.0), "<i2").tobytes()


def silence(seconds: float, rate: int) -> bytes:
    return bytes(2 * round(seconds * rate))


@contextmanager
def open_file(path: Path, rate: int) -> Iterator[Sink]:
    """A sound file in the format of its name's ending; it appears when it is whole."""
    import soundfile

    target = check_file(path)
    format_name = FORMATS[path.suffix.lower()]
    # Named before it is made: a signal in between must not leave a file that nobody knows of.
    partial = target.with_name(f".{target.name[:_NAME]}.{secrets.token_hex(6)}{PARTIAL}")
    try:
        remove_stale(target.parent)
        with os.fdopen(_claimed(partial)) as held:
            # By name: out of a Python file's callbacks into libsndfile no error and no signal comes back.
            with soundfile.SoundFile(str(partial), "w", rate, 1, format=format_name) as out:
                counter = _Counter(out)
                yield counter
            if soundfile.info(str(partial)).frames != counter.samples:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(held.fileno())
        partial.chmod(0o666 & ~_umask())
        os.replace(partial, target)
    except (OSError, soundfile.SoundFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{error} Is the disk full?"
        raise EdgevoiceError(f"cannot write {path}: {reason}") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _claimed(partial: Path) -> int:
    """The new file ``partial``, open and locked: the lock ends with the process, however that ends."""
    while True:
        handle = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            held = _lock(handle)
        except OSError:  # no locks here: then none is taken for stale either
            held = True
        if held and os.fstat(handle).st_nlink:
            return handle
        os.close(handle)  # another process took it for stale before it was locked


def remove_stale(folder: Path) -> None:
    """Remove what writers that were killed have left in ``folder``."""
    for left in folder.glob(f".*{PARTIAL}"):
        with suppress(OSError):
            handle = os.open(left, os.O_RDONLY)
            try:
                if _lock(handle):
                    left.unlink()
            finally:
                os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Counter:
    def __init__(self, out: Any) -> None:
        self.samples, self._out = 0, out

    def write(self, pcm: bytes) -> None:
        self._out.buffer_write(pcm if sys.byteorder == "little" else _swapped(pcm), "int16")
        self.samples += len(pcm) // 2


def _swapped(pcm: bytes) -> bytes:
    samples = array("h", pcm)
    samples.byteswap()
    return samples.tobytes()


def check_file(path: Path) -> Path:
    """Where the sound file will lie; raises `EdgevoiceError` where none can be written.

    The rename at the end must not put a file in the place of /dev/null.
    """
    if path.suffix.lower() not in FORMATS:
        raise EdgevoiceError(f"{path.suffix!r} is no format that can be written: use .wav, .flac or .ogg")
    if not path.parent.is_dir():
        raise EdgevoiceError(f"{path.parent} is no folder: make it, or write elsewhere")
    if path.exists() and not path.is_file():
        raise EdgevoiceError(f"{path} is no plain file: name another, or write raw sound to a pipe with -o -")
    return path.resolve()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


class Raw:
    """16-bit little-endian samples to a byte stream, each chunk at once."""

    def __init__(self, stream: IO[bytes] | None = None) -> None:
        if stream is None and sys.stdout is None:
            raise EdgevoiceError("standard output is closed: write to a file with -o out.wav")
        self._stream = stream or sys.stdout.buffer

    def write(self, pcm: bytes) -> None:
        try:
            self._stream.write(pcm)
            self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise EdgevoiceError(f"cannot write to standard output: {error.strerror}") from None


def check_loudspeaker() -> str:
    """The program that plays; raises `EdgevoiceError` where there is none."""
    program = shutil.which("aplay")
    if program is None:
        raise EdgevoiceError("aplay is missing: install alsa-utils, or write to a file with -o out.wav")
    return program


class Loudspeaker:
    """``aplay`` on an ALSA device; ``underruns``: how often it ran out of sound."""

    def __init__(self, rate: int, device: str | None) -> None:
        command = [check_loudspeaker(), "-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(rate)]
        command += ["-D", device] if device else []
        self.underruns = 0
        self._errors: list[str] = []
        english = {**os.environ, "LC_ALL": "C"}  # "underrun" is translated in other languages
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=english)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            text = line.decode(errors="replace").strip()
            if "underrun" in text:
                self.underruns += 1
            elif text:
                self._errors.append(text)

    def write(self, pcm: bytes) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(pcm)
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failure() from None

    def _failure(self) -> EdgevoiceError:
        self._process.wait()
        self._reader.join()
        reason = self._errors[0] if self._errors else f"it ended with status {self._process.returncode}"
        return EdgevoiceError(f"aplay cannot play: {reason}; choose another --device (aplay -L lists them)")

    def stop(self) -> None:
        """Fall silent at once."""
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def close(self) -> None:
        """Wait until all has been played."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        if self._process.wait() != 0:
            raise self._failure()
        self._reader.join()


@contextmanager
def open_loudspeaker(rate: int, device: str | None) -> Iterator[Loudspeaker]:
    speaker = Loudspeaker(rate, device)
    try:
        yield speaker
    except BaseException:
        speaker.stop()
        raise
    speaker.close()
