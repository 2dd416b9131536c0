"""Whole commands where GPU, CUDA and TensorRT are the stand-in's: what is chosen, said, refused."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).parents[3]
SITE = ROOT / "tests" / "standin" / "site"
TEXT = "Good morning, this voice is ready."


def run(*words: object, cache: Path, gpu: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """An edgevoice command; ``gpu``: what the stand-in is, None for this machine as it is."""
    return run_python(["-m", "edgevoice", *map(str, words)], cache, gpu)


def run_python(words: list[str], cache: Path, gpu: dict[str, Any] | None) -> subprocess.CompletedProcess[str]:
    paths = [str(ROOT), *([str(SITE), str(ROOT / "tests")] if gpu is not None else [])]
    return subprocess.run(
        [sys.executable, *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        cwd=ROOT,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "XDG_CACHE_HOME": str(cache),
            "STANDIN_GPU": json.dumps(gpu or {}),
        },
    )


def sound(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def engines_in(cache: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (cache / "edgevoice" / "engines").glob("*.plan")}


def test_a_voice_for_the_gpu_speaks_with_tensorrt_as_on_the_cpu(gpu_bundle: Path, tmp_path: Path) -> None:
    cpu, first, second = (tmp_path / f"{name}.wav" for name in ("cpu", "first", "second"))
    cache = tmp_path / "cache"
    required = ["--require", "tensorrt"]
    done = run("say", TEXT, "--voice", gpu_bundle, "-o", first, *required, cache=cache, gpu={"fast": True})
    assert done.returncode == 0, done.stderr
    assert "are built and timed, once" in done.stderr
    built = engines_in(cache)
    assert len(built) == 3
    (record,) = (json.loads(path.read_bytes()) for path in (cache / "edgevoice" / "engines").glob("*.json"))
    assert {row["engine"] for row in record["stages"].values()} == {"tensorrt"}
    # Again: nothing is built, so no file is needed but the engines'.
    done = run("say", TEXT, "--voice", gpu_bundle, "-o", second, cache=cache, gpu={"build_fault": "no more"})
    assert done.returncode == 0, done.stderr
    assert "built" not in done.stderr
    assert engines_in(cache) == built
    assert run("say", TEXT, "--voice", gpu_bundle, "-o", cpu, cache=cache).returncode == 0
    np.testing.assert_array_equal(sound(first), sound(second))
    np.testing.assert_allclose(sound(first), sound(cpu), rtol=0, atol=2 / 32768)


@pytest.mark.parametrize(
    ("gpu", "reason"),
    [
        ({"driver": False}, "no NVIDIA driver"),
        ({"version": "8.6.2"}, "TensorRT 8.6.2 is too old: edgevoice needs 10.3"),
        ({"build_fault": "Myelin has no tactic"}, "Myelin has no tactic"),
    ],
)
def test_what_stands_against_tensorrt_is_said_or_refused(
    gpu_bundle: Path, tmp_path: Path, gpu: dict[str, Any], reason: str
) -> None:
    out, cache = tmp_path / "sound.wav", tmp_path / "cache"
    words = ["say", TEXT, "--voice", gpu_bundle, "-o", out]
    refused = run(*words, "--require", "tensorrt", cache=cache, gpu=gpu)
    assert refused.returncode == 2, refused.stderr
    lines = [line for line in refused.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    assert "TensorRT is required and cannot be used" in lines[0]
    assert reason in lines[0]
    assert not out.exists()
    spoken = run(*words, cache=cache, gpu=gpu)
    assert spoken.returncode == 0, spoken.stderr
    assert reason in spoken.stderr
    assert len(sound(out)) > 1000


def test_a_builder_that_dies_is_remembered_until_a_deploy(gpu_bundle: Path, tmp_path: Path) -> None:
    """Not every start of a program tries for minutes what ended the builder before."""
    root, cache, out = tmp_path / "device", tmp_path / "cache", tmp_path / "sound.wav"
    dies = {"build_fault": "dies"}
    first = run("deploy", gpu_bundle, root, cache=cache, gpu=dies)
    assert first.returncode == 0, first.stderr
    assert "engines were not built: the process ended with status 9" in first.stderr
    said = run("say", TEXT, "--voice", root, "-o", out, cache=cache, gpu=dies)
    assert said.returncode == 0, said.stderr
    assert "are built and timed" not in said.stderr
    assert "ended with status 9 (tried again by a deploy, or remove" in said.stderr
    again = run("deploy", gpu_bundle, root, "--require", "tensorrt", cache=cache, gpu={})
    assert again.returncode == 0, again.stderr
    assert len(list((root / "engines").glob("*.plan"))) == 3


def test_engines_that_cannot_be_pruned_do_not_undo_a_deploy(gpu_bundle: Path, tmp_path: Path) -> None:
    root, cache = tmp_path / "device", tmp_path / "cache"
    assert run("deploy", gpu_bundle, root, cache=cache, gpu={}).returncode == 0
    with open(root / "engines" / ".lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # as a builder of another release does
        done = run("deploy", gpu_bundle, root, cache=cache, gpu={})
    assert done.returncode == 0, done.stderr
    assert "engines of former releases stay until the next deploy" in done.stderr


def test_a_bundle_for_the_cpu_leaves_the_gpu_alone(tiny_bundle: Path, tmp_path: Path) -> None:
    out, cache = tmp_path / "sound.wav", tmp_path / "cache"
    done = run("say", TEXT, "--voice", tiny_bundle, "-o", out, cache=cache, gpu={"build_fault": "asked"})
    assert (done.returncode, "CPU" in done.stderr) == (0, False)
    assert not cache.exists()


def test_a_deploy_builds_before_it_switches(gpu_bundle: Path, tmp_path: Path) -> None:
    root, cache, out = tmp_path / "device", tmp_path / "cache", tmp_path / "sound.wav"
    words = ["deploy", gpu_bundle, root, "--require", "tensorrt"]
    failed = run(*words, cache=cache, gpu={"build_fault": "no tactic"})
    assert failed.returncode == 2
    assert "no tactic" in failed.stderr
    assert not (root / "current").exists()
    done = run(*words, cache=cache, gpu={})
    assert done.returncode == 0, done.stderr
    plans = list((root / "engines").glob("*.plan"))
    records = [json.loads(path.read_bytes()) for path in (root / "engines").glob("*.json")]
    assert (len(plans), len(records)) == (3, 1)
    assert records[0]["stages"]["vocoder"]["reason"]
    assert not cache.exists()
    # The release speaks with what was built.
    said = run("say", TEXT, "--voice", root, "-o", out, cache=cache, gpu={"build_fault": "asked"})
    assert said.returncode == 0, said.stderr
    assert "CPU" not in said.stderr


def test_the_tests_that_need_a_gpu_run(gpu_bundle: Path, tmp_path: Path) -> None:
    """On the stand-in: nobody should first find out on the board that they are broken."""
    done = run_python(
        ["-m", "pytest", "-v", "-p", "no:cacheprovider", "tests/gpu", f"--gpu-bundle={gpu_bundle}"],
        cache=tmp_path / "cache",
        gpu={"fast": True},
    )
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
    assert "skipped" not in done.stdout
