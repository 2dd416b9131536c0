"""ONNX Runtime on a GPU, for boards that have its CUDA or TensorRT provider and no TensorRT for this Python.

Five traps are set right: cuDNN's search tries every algorithm for each new length (30 s became 0.15 s with
its heuristic in others' reports), a length's first run is slow, nodes that a provider does not take run on
the CPU without a word, as all do where its library is missing or it fails, and TensorRT's builds an engine
anew for each length outside those that it has seen.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime as ort

from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines import Array, cuda
from edgevoice.runtime.engines.cuda import CudaError
from edgevoice.runtime.engines.onnx import set_threads
from edgevoice.runtime.engines.tensorrt.build import Steps
from edgevoice.runtime.engines.tensorrt.cache import PROVIDERS, Machine
from targets import host

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
WORDS = {CUDA: "CUDA", TENSORRT: "TensorRT", CPU: "the CPU"}


def available() -> list[str]:
    """The providers of a GPU that this ONNX Runtime has, the better ones first."""
    there = ort.get_available_providers()
    return [provider for provider in (TENSORRT, CUDA) if provider in there]


def kept(home: Path) -> Path:
    """The folder for engines that TensorRT's provider builds: it knows none of our signatures, so each GPU,
    driver and release has its own. What cannot be asked without a way to CUDA from Python is left out.

    One that is there counts as used now: `cache.Cache` removes what nobody has used for long.
    """
    try:
        device = cuda.load().device()
        known = (device.name, device.capability, device.cuda)
    except CudaError:
        known = ("", "", "")
    name, capability, version = known
    here = Machine(name, capability, f"onnxruntime {ort.__version__}", version, host.read().l4t or "")
    folder = home / PROVIDERS / f"{here.key}.{ort.__version__}"
    with suppress(OSError):  # none yet, or another user's, who has it age by that
        os.utime(folder)
    return folder


def options(
    providers: Sequence[str],
    cache: Path | None,
    profile: Mapping[str, str] | None = None,
    half: bool = False,
) -> list[tuple[str, dict[str, str]]]:
    """The providers with what each is told; ``cache``: the folder for engines that TensorRT's builds;
    ``profile``: the lengths that it builds them for (`profile_of`); ``half``: the file is in FP16."""
    told: dict[str, dict[str, str]] = {
        CUDA: {
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "do_copy_in_default_stream": "1",
        },
        TENSORRT: {"trt_fp16_enable": "1" if half else "0", "trt_engine_cache_enable": "1" if cache else "0"},
        CPU: {},
    }
    if cache:
        told[TENSORRT] |= {"trt_engine_cache_path": str(cache), "trt_timing_cache_enable": "1"}
    told[TENSORRT] |= profile or {}
    return [(provider, told.get(provider, {})) for provider in providers]


def profile_of(path: Path, steps: Steps) -> dict[str, str]:
    """The options that have TensorRT's provider build the graph once for all ``steps``."""
    told = {}
    inputs = _session(path, [CPU], _settings()).get_inputs()
    for kind, length in (("min", steps.least), ("opt", steps.best), ("max", steps.most)):
        rows = [f"{node.name}:{'x'.join(_sizes(node.shape, length))}" for node in inputs]
        told[f"trt_profile_{kind}_shapes"] = ",".join(rows)
    return told


def _sizes(shape: Sequence[int | str | None], length: int) -> list[str]:
    """Free axes are the time axis alone."""
    return [str(size if isinstance(size, int) else length) for size in shape]


class ProviderEngine:
    """One stage by ONNX Runtime's providers, the best first; the CPU takes what they do not, but not all.

    ``placement``: nodes by provider, counted in the first warm-up. ``windows``: feeds of each length that
    will come often; all are run once. ``steps``: all lengths that may come. ``half``: the file is in FP16.
    Raises `EdgevoiceError` where none of the providers runs anything of it; `run` raises `CudaError`.
    """

    def __init__(
        self,
        path: Path,
        providers: Sequence[str],
        windows: Sequence[Mapping[str, Array]] = (),
        cache: Path | None = None,
        steps: Steps | None = None,
        half: bool = False,
    ) -> None:
        self._path, self._asked = path, tuple(providers)
        chosen = [*providers, CPU] if CPU not in providers else [*providers]
        profile = profile_of(path, steps) if steps and TENSORRT in chosen else {}
        try:
            self._begin(options(chosen, cache, profile, half), windows)
        except EdgevoiceError:
            # A graph that it takes in parts needs the lengths of each part's inputs, which only it knows.
            if not profile:
                raise
            self._begin(options(chosen, cache, half=half), windows)

    def _begin(self, chosen: Any, windows: Sequence[Mapping[str, Array]]) -> None:
        self.placement: dict[str, int] = _placement(self._path, chosen, windows[0]) if windows else {}
        self._session = _session(self._path, chosen, _settings())
        self._check(self._session.get_providers())
        if windows:
            self._check(self.placement)
        self.inputs = tuple(node.name for node in self._session.get_inputs())
        for feeds in windows:
            self.run({name: feeds[name] for name in self.inputs})

    def _check(self, used: Container[str]) -> None:
        """A provider that is listed may lack its library, or take no node; both are silent."""
        if not any(provider in used for provider in self._asked):
            asked = " or ".join(WORDS.get(provider, provider) for provider in self._asked)
            raise EdgevoiceError(f"ONNX Runtime {ort.__version__} runs nothing of {self._path} by {asked}")

    def run(self, feeds: Mapping[str, Array]) -> list[npt.NDArray[Any]]:
        try:
            outputs: list[npt.NDArray[Any]] = self._session.run(None, dict(feeds))
        except Exception as error:  # ONNX Runtime's own exception classes share no public base
            raise CudaError(str(_refusal("run", self._path, error))) from None
        return outputs

    @property
    def words(self) -> str:
        """Where its nodes run: "412 nodes on CUDA, 3 on the CPU"."""
        rows = sorted(self.placement.items(), key=lambda row: -row[1])
        return ", ".join(f"{count} nodes on {WORDS.get(provider, provider)}" for provider, count in rows)


def _settings() -> ort.SessionOptions:
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    set_threads(settings, 1)
    return settings


def _session(path: Path, chosen: Any, settings: ort.SessionOptions) -> Any:
    try:
        # Its own fallback prints to stdout, which may be the sound, and goes on with the CPU.
        return ort.InferenceSession(str(path), settings, chosen, enable_fallback=0)
    except Exception as error:
        raise _refusal("load", path, error) from None


def _placement(path: Path, chosen: Any, feeds: Mapping[str, Array]) -> dict[str, int]:
    """Nodes by provider, read from a profile of one run: no release's API tells it."""
    with tempfile.TemporaryDirectory() as folder:
        settings = _settings()
        settings.enable_profiling = True
        settings.profile_file_prefix = os.path.join(folder, "run")
        session = _session(path, chosen, settings)
        try:
            session.run(None, {node.name: feeds[node.name] for node in session.get_inputs()})
        except Exception as error:
            raise _refusal("run", path, error) from None
        return placed(json.loads(Path(session.end_profiling()).read_bytes()))


def placed(events: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Nodes by provider from a profile's events."""
    ran = {
        (str(event["name"]), str(event["args"]["provider"]))
        for event in events
        if event.get("cat") == "Node" and event.get("args", {}).get("provider")
    }
    return dict(Counter(provider for _, provider in ran))


def _refusal(verb: str, path: Path, error: Exception) -> EdgevoiceError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return EdgevoiceError(f"ONNX Runtime {ort.__version__} cannot {verb} {path} on a GPU: {reason}")
