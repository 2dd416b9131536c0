"""ONNX Runtime's providers: what they are told, where nodes run, and that the sound stays the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from standin.cudart import Cudart
from standin.gpu import Gpu

from edgevoice import Voice, bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES
from edgevoice.runtime.engines import cuda, providers
from edgevoice.runtime.engines.cuda.python import CudaPython
from edgevoice.runtime.engines.onnx import OnnxEngine
from edgevoice.runtime.engines.tensorrt import shapes, timing
from edgevoice.runtime.engines.tensorrt.build import Steps


@pytest.fixture
def vocoder(tiny_bundle: Path) -> Path:
    return tiny_bundle / "vocoder.fp32.onnx"


def channels(vocoder: Path) -> int:
    return int(
        ort.InferenceSession(str(vocoder), providers=["CPUExecutionProvider"]).get_inputs()[0].shape[1]
    )


def test_the_search_is_heuristic_and_engines_are_kept(tmp_path: Path) -> None:
    told = dict(providers.options([providers.TENSORRT, providers.CUDA, providers.CPU], tmp_path))
    assert told[providers.CUDA]["cudnn_conv_algo_search"] == "HEURISTIC"
    assert told[providers.TENSORRT]["trt_engine_cache_path"] == str(tmp_path)
    assert dict(providers.options([providers.TENSORRT], None))[providers.TENSORRT] == {
        "trt_fp16_enable": "0",
        "trt_engine_cache_enable": "0",
    }
    half = dict(providers.options([providers.TENSORRT], None, half=True))
    assert half[providers.TENSORRT]["trt_fp16_enable"] == "1"


def test_tensorrt_is_told_every_length_that_may_come(tiny_bundle: Path, tmp_path: Path) -> None:
    manifest = bundle.read(tiny_bundle).manifest
    lengths = shapes.of(manifest)
    found = providers.profile_of(tiny_bundle / "vocoder.fp32.onnx", lengths["vocoder"].all)
    wide, often = lengths["vocoder"].most, lengths["vocoder"].fixed[0][1]
    count = channels(tiny_bundle / "vocoder.fp32.onnx")
    assert found == {
        "trt_profile_min_shapes": f"latents:1x{count}x1",
        "trt_profile_opt_shapes": f"latents:1x{count}x{often}",
        "trt_profile_max_shapes": f"latents:1x{count}x{wide}",
    }
    encoder = providers.profile_of(tiny_bundle / "encoder.fp32.onnx", lengths["encoder"].all)
    assert "phonemes:1x800" in encoder["trt_profile_max_shapes"].split(",")
    told = dict(providers.options([providers.TENSORRT], tmp_path, found))[providers.TENSORRT]
    assert told.items() >= found.items()


def test_a_graph_that_tensorrt_takes_in_parts_is_built_without_them(
    vocoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses a profile that lacks the parts' own inputs."""
    begun: list[bool] = []
    plain = providers._session

    def session(path: Path, chosen: Any, settings: Any) -> Any:
        if chosen == [providers.CPU]:
            return plain(path, chosen, settings)
        begun.append("trt_profile_min_shapes" in dict(chosen)[providers.TENSORRT])
        if begun[-1]:
            raise EdgevoiceError("user needs to provide all the dynamic shape inputs with profiles")
        found = plain(path, [providers.CPU], settings)
        monkeypatch.setattr(found, "get_providers", lambda: [providers.TENSORRT, providers.CPU])
        return found

    monkeypatch.setattr(providers, "_session", session)
    engine = providers.ProviderEngine(vocoder, [providers.TENSORRT], steps=Steps(1, 8, 32))
    assert begun == [True, False]
    assert engine.inputs == ("latents",)


def test_nodes_are_counted_where_they_ran_and_the_sound_is_the_same(vocoder: Path) -> None:
    draws = np.random.default_rng(0).standard_normal((1, channels(vocoder), 24)).astype(np.float32)
    windows = [{"latents": draws}, {"latents": draws[:, :, :8]}]
    engine = providers.ProviderEngine(vocoder, [providers.CPU], windows)
    assert set(engine.placement) == {providers.CPU}
    assert engine.words == f"{engine.placement[providers.CPU]} nodes on the CPU"
    np.testing.assert_allclose(
        engine.run(windows[0])[0], OnnxEngine(vocoder, 1).run(windows[0])[0], rtol=0, atol=1e-6
    )


def test_a_program_with_one_pool_for_all_has_them_too(vocoder: Path) -> None:
    """As `edgevoice serve` has: ONNX Runtime refuses sessions with a pool of their own there."""
    script = (
        "import sys; from pathlib import Path\n"
        "from edgevoice.runtime.engines import onnx, providers\n"
        "onnx.share_pool(1)\n"
        "print(providers.ProviderEngine(Path(sys.argv[1]), [providers.CPU]).inputs)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(vocoder)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.stdout == "('latents',)\n", done.stderr


def test_a_profile_s_events_are_counted_once_a_node() -> None:
    def event(name: str, provider: str, cat: str = "Node") -> dict[str, object]:
        return {"cat": cat, "name": name, "args": {"provider": provider}}

    events = [
        event("a_kernel_time", providers.CUDA),
        event("a_kernel_time", providers.CUDA),
        event("b_kernel_time", providers.CPU),
        {"cat": "Session", "name": "model_run"},
        {"cat": "Node", "name": "b_fence", "args": {}},
    ]
    assert providers.placed(events) == {providers.CUDA: 1, providers.CPU: 1}


def test_without_a_gpu_s_provider_there_is_none() -> None:
    if set(ort.get_available_providers()) & {providers.CUDA, providers.TENSORRT}:
        pytest.skip("this ONNX Runtime has a GPU's provider")
    assert providers.available() == []


def test_a_file_that_is_no_graph_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no")
    with pytest.raises(EdgevoiceError, match=r"cannot load .*broken.onnx on a GPU"):
        providers.ProviderEngine(path, [providers.CPU])


class Card:
    """A session on the CPU that says of its nodes what one on a card would. ``nodes``: whether the card takes
    any; ``library``: whether its provider's is there."""

    nodes = library = True

    def __init__(self, session: Any) -> None:
        self._session = session

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def get_providers(self) -> list[str]:
        return [providers.CUDA, providers.CPU] if self.library else [providers.CPU]

    def end_profiling(self) -> str:
        path = Path(self._session.end_profiling())
        if self.nodes and self.library:
            path.write_text(path.read_text().replace(providers.CPU, providers.CUDA))
        return str(path)


@pytest.fixture
def by_provider(monkeypatch: pytest.MonkeyPatch) -> type[Card]:
    """A machine with a card and ONNX Runtime's provider for it, but no TensorRT."""
    plain = providers._session

    def session(path: Path, chosen: Any, settings: Any) -> Any:
        if chosen == [providers.CPU]:
            return plain(path, chosen, settings)
        assert [name for name, _ in chosen] == [providers.CUDA, providers.CPU]
        return Card(plain(path, [providers.CPU], settings))

    for name in ("nodes", "library"):
        monkeypatch.setattr(Card, name, True)
    monkeypatch.setattr(providers, "_session", session)
    monkeypatch.setattr(providers, "available", lambda: [providers.CUDA])
    monkeypatch.setattr(cuda, "probe", lambda: "")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    return Card


def sound(voice: Voice) -> np.ndarray:
    return np.concatenate(list(voice.stream("Good morning, this voice is ready.")))


@pytest.mark.parametrize("lacking", ["", "speed", "nodes", "library"])
def test_it_speaks_where_it_runs_and_is_faster_than_the_cpu(
    lacking: str, gpu_bundle: Path, by_provider: type[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    def median(engine: object, feeds: object) -> float:
        return 1.0 if isinstance(engine, providers.ProviderEngine) == (lacking != "speed") else 2.0

    monkeypatch.setattr(timing, "median", median)
    if lacking in ("nodes", "library"):
        monkeypatch.setattr(by_provider, lacking, False)
    voice = Voice.load(gpu_bundle, 1)
    assert voice.engines.startswith("by ONNX Runtime on the GPU (encoder: ") == (not lacking)
    assert ("nodes on CUDA" in voice.engines) == (not lacking)
    assert "TensorRT cannot be loaded here" in voice.remark
    plain = Voice.load(gpu_bundle, 1, engine="onnxruntime")
    np.testing.assert_allclose(sound(voice), sound(plain), atol=1e-5)


def test_it_runs_the_file_that_was_made_for_a_gpu(
    gpu_bundle: Path, by_provider: type[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        timing, "median", lambda engine, feeds: float(not isinstance(engine, providers.ProviderEngine))
    )
    stages = Voice.load(gpu_bundle, 1).stages
    files = [getattr(stages, name)._engine._path.name for name in STAGES]
    assert files == [f"{name}.fp16.onnx" for name in STAGES]


def test_a_sound_that_is_not_the_stage_s_is_not_taken(
    gpu_bundle: Path, by_provider: type[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        timing, "median", lambda engine, feeds: float(not isinstance(engine, providers.ProviderEngine))
    )
    plain = providers.ProviderEngine.run
    monkeypatch.setattr(
        providers.ProviderEngine, "run", lambda self, feeds: [-value for value in plain(self, feeds)]
    )
    assert Voice.load(gpu_bundle, 1).engines.endswith("by ONNX Runtime on the CPU")


def test_onnx_runtime_s_own_fallback_is_off(
    vocoder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It prints to stdout, where the sound may go, and then nobody knows that the CPU speaks."""
    plain = ort.InferenceSession._create_inference_session

    def create(self: Any, chosen: Any, *rest: Any) -> Any:
        self._fallback_providers = [providers.CPU]  # as the real one does before it starts
        if any(providers.CUDA in row for row in chosen):
            raise RuntimeError("CUDA failure 35")
        return plain(self, chosen, *rest)

    monkeypatch.setattr(ort.InferenceSession, "_create_inference_session", create)
    with pytest.raises(EdgevoiceError, match=r"cannot load .* on a GPU: CUDA failure 35"):
        providers.ProviderEngine(vocoder, [providers.CUDA])
    assert capfd.readouterr().out == ""


def test_each_gpu_and_release_has_its_own_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {providers.kept(tmp_path)}  # no way to CUDA here
    for capability in ((8, 7), (8, 9)):
        bound = CudaPython(Cudart(Gpu(capability=capability)))
        monkeypatch.setattr(cuda, "load", lambda bound=bound: bound)
        found.add(providers.kept(tmp_path))
    monkeypatch.setattr(ort, "__version__", "1.99.0")
    found.add(providers.kept(tmp_path))
    assert len(found) == 4
    assert {path.parent for path in found} == {tmp_path / "ort"}


def test_a_gpu_that_fails_in_the_middle_ends_no_speech(
    gpu_bundle: Path, by_provider: type[Card], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        timing, "median", lambda engine, feeds: float(not isinstance(engine, providers.ProviderEngine))
    )
    voice = Voice.load(gpu_bundle, 1)

    class Broken:
        def run(self, *_: object) -> None:
            raise RuntimeError("CUDA failure 700")

    monkeypatch.setattr(voice.stages.vocoder._engine, "_session", Broken())  # type: ignore[attr-defined]
    plain = Voice.load(gpu_bundle, 1, engine="onnxruntime")
    np.testing.assert_allclose(sound(voice), sound(plain), atol=1e-5)
