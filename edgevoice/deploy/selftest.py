"""A release speaks one sentence before anybody depends on it: ``python -m edgevoice.deploy.selftest DIR``.

It runs in a process of its own (`edgevoice.deploy.isolate`), so that an engine that crashes or eats the
memory takes nothing else with it. The last line on stdout is a `Report` in JSON.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.options import Wish
from edgevoice.text.sample import base, sentence
from targets import child

Sound = npt.NDArray[np.float32]

_DENSE_SCRIPTS = ("ja", "zh")


class Speaker(Protocol):
    """What the self-test needs of a loaded voice."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def remark(self) -> str: ...

    def stream(self, text: str) -> Iterable[Sound]: ...


@dataclass(frozen=True)
class Limits:
    """Between what bounds a spoken sentence is plausible; the lengths are seconds per character of text."""

    shortest: float = 0.03
    longest: float = 0.3
    quietest_dbfs: float = -45.0
    loud_dbfs: float = -55.0
    loud_share: float = 0.2
    clipped_share: float = 0.005


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was heard; without problems the release may speak. ``peak_bytes``: the process's largest RSS."""

    problems: list[str]
    text: str = ""
    sound_seconds: float = 0.0
    load_seconds: float = 0.0
    speak_seconds: float = 0.0
    rms_dbfs: float = -200.0
    peak_bytes: int = 0


def limits_for(language: str) -> Limits:
    return Limits(shortest=0.06, longest=0.7) if base(language) in _DENSE_SCRIPTS else Limits()


def collect(chunks: Iterable[Sound], most_samples: int) -> Sound:
    """Join what the voice yields; stop listening once it is longer than it may be."""
    kept: list[Sound] = []
    samples = 0
    for chunk in chunks:
        if chunk.ndim != 1:
            raise EdgevoiceError(f"the voice yields arrays of shape {chunk.shape}, not one-dimensional sound")
        kept.append(chunk)
        samples += len(chunk)
        if samples > most_samples:
            break
    return np.concatenate(kept) if kept else np.zeros(0, np.float32)


def faults(sound: Sound, rate: int, text: str, limits: Limits) -> list[str]:
    """Everything wrong with ``sound`` (f32 [samples] in [-1, 1]) as speech of ``text``."""
    seconds, least, most = len(sound) / rate, limits.shortest * len(text), limits.longest * len(text)
    if not len(sound):
        return ["the voice made no sound"]
    if not np.isfinite(sound).all():
        return ["the sound contains values that are no numbers (NaN or infinity)"]
    found = []
    if not least <= seconds <= most:
        spoken = f"more than {most:.1f} s" if seconds > most else f"{seconds:.2f} s"
        found.append(f"the sentence is {spoken} long, expected {least:.1f} to {most:.1f} s")
    clipped = float(np.mean(np.abs(sound) >= 0.999))
    if clipped > limits.clipped_share:
        found.append(f"{clipped:.1%} of the samples are clipped")
    loud = float(np.mean(_frame_dbfs(sound, rate) > limits.loud_dbfs))
    if dbfs(sound) < limits.quietest_dbfs or loud < limits.loud_share:
        found.append(f"the sound is nearly silent ({dbfs(sound):.0f} dBFS, {loud:.0%} of it audible)")
    return found


def dbfs(sound: Sound) -> float:
    """Level of ``sound`` without its constant part, in decibels below a full-scale square wave."""
    power = float(np.var(sound.astype(np.float64))) if len(sound) else 0.0
    return 10.0 * float(np.log10(max(power, 1e-20)))


def examine(load: Callable[[], Speaker], text: str, limits: Limits) -> Report:
    """Load a voice, let it speak ``text`` and judge what comes."""
    start = time.monotonic()
    voice = load()
    loaded, remark = time.monotonic(), voice.remark
    sound = collect(voice.stream(text), round(limits.longest * len(text) * voice.sample_rate))
    done = time.monotonic()
    # An engine that fails while it speaks is no sound's fault: another went on.
    failed = [voice.remark] if voice.remark != remark else []
    return Report(
        problems=[*faults(sound, voice.sample_rate, text, limits), *failed],
        text=text,
        sound_seconds=len(sound) / voice.sample_rate,
        load_seconds=loaded - start,
        speak_seconds=done - loaded,
        rms_dbfs=dbfs(sound) if np.isfinite(sound).all() else -200.0,
        peak_bytes=peak_bytes(),
    )


def peak_bytes(process: int | str = "self") -> int:
    """Largest resident size so far of a process, 0 where the system does not say.

    Not `getrusage`: its maximum is inherited through fork and exec from a larger parent.
    """
    with suppress(OSError), open(f"/proc/{process}/status", encoding="ascii", errors="replace") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def main(arguments: Sequence[str] | None = None, load: Callable[[Path, Wish], Speaker] | None = None) -> int:
    options = _parser().parse_args(arguments)
    _be_expendable(options.parent)
    try:
        language = bundle.read(options.folder, verify=False).manifest.voice.language
        text = options.text or sentence(language)
        report = examine(lambda: (load or _load)(options.folder, options.require), text, limits_for(language))
    except EdgevoiceError as error:
        report = Report([str(error)], peak_bytes=peak_bytes())
    print(f"\n{msgspec.json.encode(report).decode()}", flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edgevoice.deploy.selftest", description="Let a release speak.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text", default="")
    parser.add_argument("--require", default="", help="the engine that it must speak by")
    parser.add_argument("--parent", type=int, default=0, help="end when this process has ended")
    return parser


def _load(folder: Path, engine: Wish) -> Speaker:
    # By name: the runtime is heavy, and everything else here works without it.
    runtime: Any = __import__("edgevoice", fromlist=["Voice"])
    voice: Speaker = runtime.Voice.load(folder, engine=engine)
    return voice


def _be_expendable(parent: int) -> None:
    """Short of memory the kernel takes this process first; and it never outlives the deploy."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    child.end_with_parent(parent)


def _frame_dbfs(sound: Sound, rate: int) -> npt.NDArray[np.float64]:
    length = max(1, rate // 50)
    whole = len(sound) // length * length
    frames = sound[:whole].reshape(-1, length).astype(np.float64) if whole else sound[None].astype(np.float64)
    levels: npt.NDArray[np.float64] = 10.0 * np.log10(np.maximum(frames.var(axis=1), 1e-20))
    return levels


if __name__ == "__main__":
    sys.exit(main())
