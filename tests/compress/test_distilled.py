"""A whole compress with students: trained, resumed, taken as trained, taken from weights, and refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from tiny_students import SCHEDULE, STAGES, TABLES

from compress import choose, pipeline, recipe, summary
from compress.against import Against
from compress.distil import checkpoint, weights
from compress.distilled import Origin
from compress.measuring import Measuring
from compress.teachers import piper
from compress.workspace import lock
from edgevoice import EdgevoiceError, Voice
from targets import load as load_target

QUANTIZE = """
[quantize]
sentences = 8
method = "minmax"
search_seconds = 0.0
"""
FINISH = f"""
[distil.finish]
[distil.finish.schedule]
{SCHEDULE.format(steps=2)}
"""
HEAD = """
[chunks]
first = 8
long = 32
[judge]
sentences = 1
teacher_sentences = 2
[labels]
sentences = 3
[gate]
log_mel_l1 = 5.0
[student_gate]
log_mel_l1 = {limit}
"""


def recipe_of(folder: Path, limit: float = 9.0, steps: int = 3, more: str = "") -> recipe.Recipe:
    file = folder / "tiny.toml"
    file.write_text(HEAD.format(limit=limit) + TABLES.format(steps=steps) + more)
    return recipe.load(str(file))


@pytest.fixture(scope="module", autouse=True)
def read_once() -> Iterator[None]:
    """Reading and cutting the voice, tested elsewhere, would be most of what these tests do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(piper, "read", lru_cache(piper.read))
        yield


@pytest.fixture(scope="module")
def made(tiny_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> pipeline.Result:
    folder = tmp_path_factory.mktemp("made")
    return pipeline.compress(
        tiny_voice,
        load_target("cpu"),
        recipe_of(folder, more=QUANTIZE),
        folder / "bundle",
        origin=Origin(folder / "training"),
    )


def test_a_voice_of_students_speaks_and_says_how_it_came_to_be(made: pipeline.Result) -> None:
    voice = Voice.load(made.bundle.path, threads=1)
    sound = np.concatenate(list(voice.stream("One sentence. And another one.")))
    assert np.isfinite(sound).all()
    assert len(sound) > 1000
    manifest = made.bundle.manifest
    assert manifest.spectrum is not None
    assert manifest.spectrum.n_fft == 512
    for stage in manifest.stages.values():
        assert stage.trained is not None
        assert stage.trained.steps == 3
        assert stage.trained.seconds > 0
        assert 0 < stage.trained.label_hours < 0.1
        assert {"fp32", "int8"} == {variant.precision for variant in stage.measured}
    assert made.exactness < 1e-4
    assert made.chunked < 1e-4


def test_the_student_is_judged_against_its_teacher(made: pipeline.Result) -> None:
    against = made.bundle.manifest.against_teacher
    assert against is not None
    assert against.student["log_mel_l1"].n == 2
    assert against.student["log_mel_l1"].mean > 0.1  # after three steps it is not the teacher
    assert against.shipped["log_mel_l1"].against == "teacher"
    ratio = against.speed["teacher_by_student"].mean
    assert ratio == pytest.approx(against.speed["teacher"].mean / against.speed["student"].mean, rel=0.5)
    told = summary.table(made)
    assert "the student as shipped against its teacher" in told
    assert "at most 9" in told
    assert "3 steps" in told


def test_training_goes_on_where_it_stands_and_as_trained_trains_no_further(
    made: pipeline.Result, tiny_voice: Path, tmp_path: Path
) -> None:
    """More steps in the same folder, and a finish; then as they stand, and nothing is written there."""
    training = _copied(made, tmp_path)
    longer = recipe_of(tmp_path, steps=4, more=FINISH)
    first = pipeline.compress(
        tiny_voice, load_target("cpu"), longer, tmp_path / "first", origin=Origin(training)
    )
    assert _steps(first) == {"vocoder": 4 + 2, "acoustic": 4, "encoder": 4}
    finished = first.bundle.manifest.stages["vocoder"].trained
    assert finished is not None
    assert finished.finish_steps == 2
    before = _contents(training)
    longest = recipe_of(tmp_path, steps=9, more=FINISH)
    second = pipeline.compress(
        tiny_voice, load_target("cpu"), longest, tmp_path / "second", origin=Origin(training, as_trained=True)
    )
    assert _steps(second) == _steps(first)
    assert _contents(training) == before
    files, others = (_fp32(tmp_path / f".{name}.work") for name in ("first", "second"))
    assert files == others


def _copied(made: pipeline.Result, folder: Path) -> Path:
    return Path(shutil.copytree(made.bundle.path.parent / "training", folder / "training"))


def _steps(result: pipeline.Result) -> dict[str, int]:
    cards = {name: stage.trained for name, stage in result.bundle.manifest.stages.items()}
    return {name: card.steps for name, card in cards.items() if card}


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _fp32(work: Path) -> dict[str, bytes]:
    return {stage: (work / f"{stage}.fp32.onnx").read_bytes() for stage in STAGES}


def test_weights_rebuild_the_students_without_labels_and_training(
    made: pipeline.Result, tiny_voice: Path, tmp_path: Path
) -> None:
    training = made.bundle.path.parent / "training"
    kept = tmp_path / "weights"
    kept.mkdir()
    recipe_of(tmp_path)
    recipe_file = str(tmp_path / "tiny.toml")
    for stage in STAGES:
        weights.save_run(training / stage, kept / f"{stage}.safetensors", recipe_file, None, None)
        found = weights.header(kept / f"{stage}.safetensors")
        assert found["card"].steps == 3
        assert found["curve"][-1][0] == 3
        assert found["table"]["schedule"]["items"] == 2
    again = pipeline.compress(
        tiny_voice,
        load_target("cpu"),
        recipe.load(recipe_file),
        tmp_path / "bundle",
        origin=Origin(weights=kept),
    )
    assert not (tmp_path / "bundle.training").exists()
    for name, stage in again.bundle.manifest.stages.items():
        assert stage.trained == made.bundle.manifest.stages[name].trained
    one, other = (result.bundle.manifest.against_teacher for result in (made, again))
    assert one is not None
    assert other is not None
    assert other.student["log_mel_l1"].mean == pytest.approx(one.student["log_mel_l1"].mean, abs=0.02)


def test_a_student_that_fails_its_gate_is_not_written_unless_asked_for(
    made: pipeline.Result, tiny_voice: Path, tmp_path: Path
) -> None:
    origin = Origin(made.bundle.path.parent / "training", as_trained=True)
    strict = recipe_of(tmp_path, limit=0.01)
    out = tmp_path / "bundle"
    with pytest.raises(EdgevoiceError, match=r"did not survive: log_mel_l1 is .* at most 0\.01 is allowed"):
        pipeline.compress(tiny_voice, load_target("cpu"), strict, out, origin=origin)
    assert not out.exists()
    worse = pipeline.compress(tiny_voice, load_target("cpu"), strict, out, allow_worse=True, origin=origin)
    assert any("at most 0.01" in reason for reason in worse.bundle.manifest.failed_gate)
    assert "FAILED THE GATE: FP32 student: log_mel_l1" in summary.table(worse)


def test_a_student_that_fails_is_refused_before_its_stages_are_made_smaller(
    made: pipeline.Result, tiny_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Measuring, "stages", lambda _: pytest.fail("made smaller"))
    origin = Origin(made.bundle.path.parent / "training", as_trained=True)
    with pytest.raises(EdgevoiceError, match="did not survive"):
        pipeline.compress(
            tiny_voice, load_target("cpu"), recipe_of(tmp_path, limit=0.01), tmp_path / "b", origin=origin
        )


def test_a_student_that_fails_in_fp32_alone_is_told_in_the_manifest(
    made: pipeline.Result, tiny_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choose, "WORTH", 0.0)  # INT8 travels, however fast it was
    monkeypatch.setattr(Against, "reasons", lambda _, files: () if files else ("f0_cents is 90",))
    origin = Origin(made.bundle.path.parent / "training", as_trained=True)
    asked = recipe_of(tmp_path, more=QUANTIZE)
    worse = pipeline.compress(
        tiny_voice, load_target("cpu"), asked, tmp_path / "b", allow_worse=True, origin=origin
    )
    assert {stage.speaks.precision for stage in worse.bundle.manifest.stages.values()} == {"int8"}
    assert worse.bundle.manifest.failed_gate == ["FP32 student: f0_cents is 90"]


def test_a_training_that_is_asked_to_end_saves_first(
    made: pipeline.Result, tiny_voice: Path, tmp_path: Path
) -> None:
    training = _copied(made, tmp_path)
    recipe_of(tmp_path, steps=1_000_000)
    command = [sys.executable, "-c", "from edgevoice.cli import main; main()", "compress", tiny_voice]
    command += ["-o", tmp_path / "bundle", "--recipe", tmp_path / "tiny.toml", "--training", training]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        try:
            reached = _wait_for_step(training / "vocoder", 10, process)
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 128 + signal.SIGTERM
        finally:
            process.kill()
            process.wait(60)
    told = (tmp_path / "log").read_text().splitlines()[-1]
    state = checkpoint.load(training / "vocoder")
    assert state is not None
    assert state["step"] >= reached
    assert told == f"stopped at step {state['step']} of the vocoder; the same command goes on from there"


def _wait_for_step(run: Path, step: int, process: subprocess.Popen[bytes]) -> int:
    end = time.monotonic() + 200
    while time.monotonic() < end and process.poll() is None:
        state = checkpoint.load(run)
        if state is not None and state["step"] >= step:
            return int(state["step"])
        time.sleep(0.2)
    raise AssertionError(f"no step {step} came; exit status {process.poll()}")


def test_two_trainings_do_not_share_a_folder(made: pipeline.Result, tiny_voice: Path, tmp_path: Path) -> None:
    training = made.bundle.path.parent / "training"
    with (
        lock(training, "training is at work in", "--training"),
        pytest.raises(EdgevoiceError, match=r"another training is at work in .*: wait for it"),
    ):
        pipeline.compress(
            tiny_voice, load_target("cpu"), recipe_of(tmp_path), tmp_path / "bundle", origin=Origin(training)
        )


def test_some_stages_may_stay_the_teachers(made: pipeline.Result, tiny_voice: Path, tmp_path: Path) -> None:
    file = tmp_path / "vocoder.toml"
    file.write_text(HEAD.format(limit=9.0) + TABLES.format(steps=3).split("[distil.acoustic]")[0])
    result = pipeline.compress(
        tiny_voice,
        load_target("cpu"),
        recipe.load(str(file)),
        tmp_path / "bundle",
        origin=Origin(made.bundle.path.parent / "training", as_trained=True),
    )
    trained = {name for name, stage in result.bundle.manifest.stages.items() if stage.trained}
    assert trained == {"vocoder"}
    assert len(np.concatenate(list(Voice.load(result.bundle.path, threads=1).stream("Hello there.")))) > 1000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--as-trained"], "name it with --training"),
        (["--weights", "none"], "none is no folder"),
        (["--weights", ".", "--as-trained"], "leave out --training"),
        (["--weights", "."], "vocoder.safetensors does not exist"),
        (["--training", "none", "--as-trained"], "none holds no labels"),
        (["--recipe", "quantize", "--training", "none"], "quantize has no [distil] table"),
        (["--recipe", "distill-kokoro"], "for a voice with a sine source"),
    ],
)
def test_what_does_not_go_together_is_one_clear_line(
    options: list[str], told: str, tiny_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import typer
    from typer.testing import CliRunner

    from compress.cli import register

    recipe_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    register(app)
    command = [str(tiny_voice), "-o", "bundle", "--recipe", "tiny.toml", *options]
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, EdgevoiceError)
    assert "\n" not in str(done.exception)
    assert told in str(done.exception)
    assert not (tmp_path / "bundle").exists()
    assert not (tmp_path / "none").exists()
