"""Sounds kept beside a bundle, outside what travels, so that a report can play them."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import soundfile
from msgspec.structs import replace

from calibration.atomic import CannotWrite
from edgevoice.bundle import Bundle, replace_folder
from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.choice import for_gpu
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.synthesis import Stages
from edgevoice.runtime.voice import Voice

INDEX = "samples.json"
TEACHER, REFERENCE, CHOSEN, ON_CPU = "teacher", "fp32", "chosen", "cpu"
TITLES = {
    TEACHER: "Teacher",
    REFERENCE: "FP32 stages",
    "student": "Student, FP32",
    CHOSEN: "Smallest files that travel",
    ON_CPU: "As it speaks on a CPU",
}

Wave = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Samples:
    """The same sentences in several versions; the first version is the reference."""

    rate: int
    texts: tuple[str, ...]
    sounds: Mapping[str, list[Wave]]
    """A version's name (those of `TITLES`, or any other) and its waveforms."""
    sensitivity: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """`calibration.sensitivity.Sensitivity.json` for each file whose layers were searched for."""
    command: str = ""
    """What was typed to make the bundle; empty where no command made it."""
    seeds_apart: float = 0.0
    """Mean log-mel L1 between two noise seeds of this voice in FP32; 0 where nothing measured it."""


def _identity(bundle: Bundle) -> str:
    """SHA-256 of the manifest without its serial: signing changes that, and nothing that is heard."""
    return hashlib.sha256(msgspec.json.encode(replace(bundle.manifest, serial=0), order="sorted")).hexdigest()


def folder_of(bundle: str | Path) -> Path:
    """Where the samples of the bundle in that folder are kept: a folder beside it."""
    path = Path(bundle).absolute()
    return path.with_name(f"{path.name}.samples")


def keep(bundle: Bundle, samples: Samples) -> Path:
    """Write the samples of a bundle, all of them or none; older ones are replaced. Raises `CannotWrite`."""
    if any(len(sounds) != len(samples.texts) for sounds in samples.sounds.values()):
        raise EdgevoiceError("every version of the samples needs one sound for each sentence")
    target = folder_of(bundle.path)
    try:
        return _keep(bundle, samples, target)
    except (OSError, soundfile.LibsndfileError) as error:  # the second says nothing of a full disk
        raise CannotWrite(f"{target} cannot be written: {getattr(error, 'strerror', '') or error}") from None


def _keep(bundle: Bundle, samples: Samples, target: Path) -> Path:
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        names = {version: _write_sounds(staging, version, samples) for version in samples.sounds}
        index = {
            "bundle": _identity(bundle),
            "rate": samples.rate,
            "texts": list(samples.texts),
            "sounds": names,
            "sensitivity": samples.sensitivity,
            "command": samples.command,
            "seeds_apart": samples.seeds_apart,
        }
        (staging / INDEX).write_text(json.dumps(index, indent=1))
        staging.chmod(0o755)
        replace_folder(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return target


def _write_sounds(folder: Path, version: str, samples: Samples) -> list[str]:
    names = []
    for number, sound in enumerate(samples.sounds[version]):
        names.append(f"{number}.{version}.flac")
        clipped = np.clip(np.nan_to_num(np.asarray(sound, np.float32).reshape(-1)), -1.0, 1.0)
        soundfile.write(folder / names[-1], clipped, samples.rate, "PCM_16")
    return names


def read(bundle: Bundle) -> Samples | None:
    """The samples kept beside a bundle, or None; those of another bundle are an `EdgevoiceError`."""
    folder = folder_of(bundle.path)
    if not (folder / INDEX).is_file():
        return None
    try:
        index = json.loads((folder / INDEX).read_text())
        if index.get("bundle") != _identity(bundle):
            raise EdgevoiceError(
                f"{folder} holds sounds of another bundle than {bundle.path} ({bundle.id[:16]}): remove it, "
                "or hear this one with --text"
            )
        sounds = {
            version: [soundfile.read(folder / Path(name).name, dtype="float32")[0] for name in names]
            for version, names in index["sounds"].items()
        }
        told = str(index["command"]), float(index.get("seeds_apart", 0.0))
        return Samples(int(index["rate"]), tuple(index["texts"]), sounds, index["sensitivity"], *told)
    except (ValueError, KeyError, TypeError, AttributeError, soundfile.LibsndfileError) as error:
        raise EdgevoiceError(
            f"{folder} is damaged ({error}): remove it or compress the voice again"
        ) from None


def remake(bundle: Bundle, texts: Sequence[str]) -> Samples:
    """Speak ``texts`` from the bundle's own files: FP32 where they travel, and what it chose.

    Files for TensorRT are not heard.
    """
    voice = Voice.load(bundle.path, threads=1, verify=False, engine="onnxruntime")
    sounds: dict[str, list[Wave]] = {}
    for version, stages in versions(bundle, voice.stages).items():
        voice.stages = stages
        sounds[version] = [_say(voice, text) for text in texts]
    return Samples(voice.sample_rate, tuple(texts), sounds)


def versions(bundle: Bundle, chosen: Stages) -> dict[str, Stages]:
    """What can be heard of a bundle whose choice is loaded: its FP32 stages if they all travel, and those.

    A bundle may hold smaller files than ONNX Runtime chose, for TensorRT.
    """
    if all(bundle.variant(name).precision == "fp32" for name in bundle.manifest.stages):
        return {REFERENCE: chosen}
    plain, name = _single_precision(bundle), ON_CPU if for_gpu(bundle.manifest) else CHOSEN
    return {name: chosen} if plain is None else {REFERENCE: plain, name: chosen}


def _say(voice: Voice, text: str) -> Wave:
    return np.concatenate(list(voice.stream(text, seed=0)))


def _single_precision(bundle: Bundle) -> Stages | None:
    engines: dict[str, Any] = {}
    for name, stage in bundle.manifest.stages.items():
        files = [variant.file for variant in stage.variants if variant.precision == "fp32"]
        if not files:
            return None
        engines[name] = OnnxEngine(bundle.file(files[0]), 1)
    return Stages(bundle.manifest, **engines)
