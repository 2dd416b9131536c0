"""The TensorRT module of this machine, whether edgevoice can use it, and its logger.

``Module`` is `tensorrt` on a device and `tensorrt_rtx` on a workstation: the names that edgevoice uses are
the same in both, and in every release from 10.3 to 11.
"""

from __future__ import annotations

import importlib
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines.tensorrt.interface import TensorRt

Module = TensorRt

OLDEST, NEWEST_MAJOR = (10, 3), 11
KEPT_LINES = 20_000
"""Of a log: one engine's layers are some thousand lines."""

Made = TypeVar("Made")

NO_MEMORY = re.compile(
    r"out ?of ?memory|memory ?allocation|initialization failure with error 2\b", re.IGNORECASE
)
REQUESTED = re.compile(r"Requested size was (\d+) bytes")
HARMLESS = ("cudaError 35", "CUDA driver version is insufficient")
"""What a build without a driver logs beside the fault itself."""


def load(name: str = "tensorrt") -> Module:
    """Import TensorRT; raises `EdgevoiceError` where there is none or not one that edgevoice can use.

    Touches no GPU, but loads some hundred MB of libraries. `cuda.probe` comes first on a device: a
    `Runtime` that is made without a driver kills the process.
    """
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise EdgevoiceError(
            f"TensorRT cannot be loaded here ({reason}): on a Jetson install python3-libnvinfer with apt, "
            "elsewhere `pip install tensorrt`"
        ) from None
    if name == "tensorrt":
        check_version(_version(module))
    return cast(TensorRt, module)


def _version(module: Any) -> str:
    """Types of TensorRT without TensorRT can be installed under its name, and import."""
    try:
        return str(module.__version__)
    except AttributeError:
        raise EdgevoiceError(
            "TensorRT cannot be loaded here: what is installed under its name is no TensorRT (stubs, or a "
            "folder named tensorrt); on a Jetson install python3-libnvinfer with apt, elsewhere "
            "`pip install tensorrt`"
        ) from None


def check_version(text: str) -> None:
    """Raises `EdgevoiceError` for a release that lacks what is used, or that nobody has looked at."""
    numbers = [int(part) for part in re.findall(r"\d+", text)[:2]]
    if tuple(numbers) < OLDEST:
        raise EdgevoiceError(
            f"TensorRT {text} is too old: edgevoice needs 10.3 or newer, which JetPack 6.1 and newer have"
        )
    if numbers[0] > NEWEST_MAJOR:
        raise EdgevoiceError(
            f"TensorRT {text} is newer than this edgevoice knows: it works with 10.3 to {NEWEST_MAJOR}.x, "
            "update edgevoice"
        )


class Record:
    """What TensorRT said during one piece of work, as (severity, text)."""

    def __init__(self) -> None:
        self.lines: deque[tuple[str, str]] = deque(maxlen=KEPT_LINES)

    @property
    def no_memory(self) -> bool:
        """Whether the device ran out of memory; TensorRT says it only in its log."""
        text = "".join(text for severity, text in self.lines if "ERROR" in severity)
        return bool(NO_MEMORY.search(text))

    @property
    def requested(self) -> int:
        """Bytes of the largest piece of memory that was refused; 0 where the log names none."""
        return max((int(size) for _, text in self.lines for size in REQUESTED.findall(text)), default=0)

    def reason(self, otherwise: str = "it gives no reason") -> str:
        """Its first error, in one line."""
        errors = [text for severity, text in self.lines if "ERROR" in severity]
        own = [text for text in errors if not any(known in text for known in HARMLESS)]
        return shorten(own[0]) if own else shorten(errors[0]) if errors else otherwise


def made(factory: Callable[..., Made], *arguments: Any) -> Made | None:
    """What TensorRT makes; None where it makes nothing, which its binding raises for its own classes."""
    try:
        return factory(*arguments)
    except TypeError as error:
        if "nullptr" not in str(error):
            raise
        return None


class _Log:
    """Where the one logger of this process writes to."""

    def __init__(self) -> None:
        self.verbose = False
        self.records: list[Record] = []

    def take(self, severity: str, text: str) -> None:
        if severity != "VERBOSE" or self.verbose:
            for record in self.records:
                record.lines.append((severity, text))


_log = _Log()
_loggers: dict[Module, Any] = {}


def logger(trt: Module) -> Any:
    """The logger of this process: TensorRT ignores a second one while anything made with the first lives."""
    if trt not in _loggers:
        _loggers[trt] = _make_logger(trt)
    return _loggers[trt]


def _make_logger(trt: Module) -> Any:
    base: Any = trt.ILogger

    class Logger(base):  # type: ignore[misc]
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: Any, msg: str) -> None:
            # An exception must not pass through TensorRT's own frames.
            _log.take(str(getattr(severity, "name", severity)), str(msg))

    return Logger()


@contextmanager
def recorded(verbose: bool = False) -> Iterator[Record]:
    """What TensorRT logs meanwhile, in this process; ``verbose`` with every detail, the layers among them."""
    record, before = Record(), _log.verbose
    _log.records.append(record)
    _log.verbose = before or verbose
    try:
        yield record
    finally:
        _log.verbose = before
        _log.records.remove(record)


def shorten(text: str, limit: int = 300) -> str:
    """In one line, without the brackets and line numbers that TensorRT puts before it."""
    line = re.sub(r"^(\[[^\]]*\]\s*)+", "", " ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 4]} ..."
