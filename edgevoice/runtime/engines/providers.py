"""ONNX Runtime on a GPU, for boards that have its CUDA or TensorRT provider and no TensorRT for this Python.

Three traps are set right: cuDNN's search tries every algorithm for each new length (30 s became 0.15 s with
its heuristic in others' reports), a length's first run is slow, and nodes that a provider does not take run
on the CPU without a word.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnxruntime as ort

from edgevoice.errors import EdgevoiceError
from edgevoice.runtime.engines import Array
from edgevoice.runtime.engines.cuda import CudaError

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
WORDS = {CUDA: "CUDA", TENSORRT: "TensorRT", CPU: "the CPU"}


def available() -> list[str]:
    """The providers of a GPU that this ONNX Runtime has, the better ones first."""
    there = ort.get_available_providers()
    return [provider for provider in (TENSORRT, CUDA) if provider in there]


def options(providers: Sequence[str], cache: Path | None) -> list[tuple[str, dict[str, str]]]:
    """The providers with what each is told; ``cache``: the folder for engines that TensorRT's builds."""
    told: dict[str, dict[str, str]] = {
        CUDA: {
            "cudnn_conv_algo_search": "HEURISTIC",
            "arena_extend_strategy": "kSameAsRequested",
            "do_copy_in_default_stream": "1",
        },
        TENSORRT: {"trt_fp16_enable": "0", "trt_engine_cache_enable": "1" if cache else "0"},
        CPU: {},
    }
    if cache:
        told[TENSORRT] |= {"trt_engine_cache_path": str(cache), "trt_timing_cache_enable": "1"}
    return [(provider, told.get(provider, {})) for provider in providers]


class ProviderEngine:
    """One stage by ONNX Runtime's providers, the best first; the CPU takes what they do not.

    ``placement``: nodes by provider, counted in the first warm-up. ``windows``: feeds of each length that
    will come often; all are run once. `run` raises `CudaError`.
    """

    def __init__(
        self,
        path: Path,
        providers: Sequence[str],
        windows: Sequence[Mapping[str, Array]] = (),
        cache: Path | None = None,
    ) -> None:
        self._path = path
        chosen = options([*providers, CPU] if CPU not in providers else providers, cache)
        self.placement: dict[str, int] = {}
        if windows:
            self.placement = _placement(path, chosen, windows[0])
        self._session = _session(path, chosen, _settings())
        self.inputs = tuple(node.name for node in self._session.get_inputs())
        for feeds in windows:
            self.run({name: feeds[name] for name in self.inputs})

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
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return settings


def _session(path: Path, chosen: Any, settings: ort.SessionOptions) -> Any:
    try:
        return ort.InferenceSession(str(path), settings, chosen)
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
