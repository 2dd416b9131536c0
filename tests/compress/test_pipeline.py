"""The whole way on the tiny voice: a voice in, a bundle out, and every way it can be refused."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest

from calibration import samples
from calibration.census import explicit_int8
from calibration.gate import Thresholds, Verdict, judge
from calibration.graph import leading_only_to
from calibration.measures.statistics import Interval
from calibration.report import page
from compress import cli, pipeline, summary
from compress.choose import Choice, Measured, Settled, settle
from compress.measuring import Heard, _timed_beside, slot
from compress.recipe import Recipe
from compress.recipe import load as load_recipe
from edgevoice import EdgevoiceError, Voice, bundle
from edgevoice.manifest import Measure, Precision, Stage, StageName, Variant
from targets import load as load_target

onnx = pytest.importorskip("onnx")

QUICK = """
[chunks]
first = 8
long = 32
[quantize]
sentences = 8
method = "minmax"
[judge]
sentences = 2
[gate]
log_mel_l1 = 5.0
"""


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    file = tmp_path_factory.mktemp("recipe") / "quick.toml"
    file.write_text(QUICK)
    return load_recipe(str(file))


@pytest.fixture(scope="session")
def compressed(tiny_voice: Path, quick: Recipe, tmp_path_factory: pytest.TempPathFactory) -> pipeline.Result:
    out = tmp_path_factory.mktemp("compressed") / "bundle"
    return pipeline.compress(tiny_voice, load_target("cpu"), quick, out)


def test_the_bundle_speaks(compressed: pipeline.Result) -> None:
    voice = Voice.load(compressed.bundle.path, threads=1)
    sound = np.concatenate(list(voice.stream("One sentence. And another one.")))
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() > 0.01


def test_the_stages_equal_the_voice(compressed: pipeline.Result) -> None:
    assert compressed.exactness < 1e-4
    assert compressed.chunked < 1e-4


def test_the_manifest_says_why(compressed: pipeline.Result) -> None:
    manifest = compressed.bundle.manifest
    for stage in manifest.stages.values():
        assert stage.reason
        assert {"fp32", "int8"} == {variant.precision for variant in stage.measured}
        assert [variant.file for variant in stage.variants] == [stage.chosen]  # nothing else travels to a CPU
        assert all(variant.milliseconds and variant.bytes for variant in stage.measured)
    int8 = [v for s in manifest.stages.values() for v in s.measured if v.precision == "int8"]
    assert all(sum(variant.int8_operators.values()) > 0 for variant in int8)
    assert all(variant.quality["log_mel_l1"].n == 2 for variant in int8)
    assert manifest.calibration is not None
    assert manifest.calibration.sentences == 8
    said = compressed.bundle.file("calibration.txt")
    assert len(said.read_text("utf-8").splitlines()) == 8
    assert bundle.sha256(said) == manifest.calibration.sha256


def test_the_table_shows_every_file(compressed: pipeline.Result) -> None:
    table = summary.table(compressed)
    for stage in compressed.bundle.manifest.stages.values():
        assert stage.reason in table
    before, after = (line.split() for line in table.splitlines() if line.startswith("all "))
    chosen = sum(stage.variants[-1].bytes for stage in compressed.bundle.manifest.stages.values())
    assert (before[1], after[1]) == ("fp32", "chosen")
    assert after[2] == f"{chosen / (1 << 20):.1f}"
    (judged,) = (line for line in table.splitlines() if line.startswith("log_mel_l1 "))
    assert judged.split("at most 5")[1].split() == ["met"]
    assert "stft_distance" in table
    assert compressed.seeds_apart > 0
    assert f"{compressed.seeds_apart:.3f} apart" in table
    assert " MB" not in table
    parsed = json.loads(json.dumps(summary.to_dict(compressed)))
    assert parsed["manifest"]["voice"]["name"] == compressed.bundle.manifest.voice.name


def test_the_samples_hold_the_run_s_scale_and_no_command_that_nobody_typed(
    compressed: pipeline.Result,
) -> None:
    kept = samples.read(compressed.bundle)
    assert kept is not None
    assert (kept.command, kept.seeds_apart) == ("", compressed.seeds_apart)


def test_the_command_that_was_typed_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    typed: list[str] = []
    monkeypatch.setattr(pipeline, "compress", lambda *given: typed.append(given[-1]))
    monkeypatch.setattr(summary, "table", lambda _: "")
    monkeypatch.setattr(sys, "argv", ["/venv/bin/edgevoice", "compress", "a voice.onnx", "-o", "b"])
    cli.compress(tmp_path / "a voice.onnx", tmp_path / "b", "cpu", "split")
    assert typed == ["edgevoice compress 'a voice.onnx' -o b"]


def test_a_second_run_makes_nothing_again(
    compressed: pipeline.Result, tiny_voice: Path, quick: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("made again")

    monkeypatch.setattr("compress.variants.quantize", refuse)
    monkeypatch.setattr("compress.judge.quality", refuse)
    monkeypatch.setattr("compress.judge.milliseconds", refuse)
    monkeypatch.setattr("compress.judge.quality", refuse)
    monkeypatch.setattr("compress.judge.seeds_apart", refuse)
    monkeypatch.setattr("compress.measuring.arena_bytes", refuse)
    again = pipeline.compress(tiny_voice, load_target("cpu"), quick, compressed.bundle.path)
    assert again.bundle.id == compressed.bundle.id


def test_a_gpu_target_gets_files_for_both_engines(tiny_voice: Path, quick: Recipe, tmp_path: Path) -> None:
    result = pipeline.compress(tiny_voice, load_target("orin_nano_8gb"), quick, tmp_path / "bundle")
    vocoder = result.bundle.manifest.stages["vocoder"]
    for stage in result.bundle.manifest.stages.values():  # the encoder's spline has no data-dependent shapes
        spoken = ("int8", "onnxruntime") if stage.speaks.precision == "int8" else ("fp32", "any")
        assert [(v.precision, v.engine) for v in stage.variants] == [
            spoken,
            ("fp16", "tensorrt"),
            ("int8", "tensorrt"),
        ]
        assert ("fp32" in {v.precision for v in stage.tried}) == (spoken[0] == "int8")
        assert "by ONNX Runtime, where only that runs: INT8 is" in stage.reason
    assert [line.split()[1] for line in summary.table(result).splitlines() if line.startswith("all ")] == [
        "fp32",
        "smallest",
    ]
    assert all(v.milliseconds is None for v in vocoder.variants if v.engine == "tensorrt")
    assert str(tmp_path) not in (result.bundle.path / bundle.MANIFEST).read_text()


def test_many_speakers(tiny_multispeaker_voice: Path, quick: Recipe, tmp_path: Path) -> None:
    result = pipeline.compress(tiny_multispeaker_voice, load_target("cpu"), quick, tmp_path / "bundle")
    voice = Voice.load(result.bundle.path, threads=1)
    first, second = voice.speakers[:2]
    one, other = (
        np.concatenate(list(voice.stream("Hello there.", speaker=name))) for name in (first, second)
    )
    assert one.shape != other.shape or np.abs(one - other).max() > 1e-3


def test_a_file_that_fails_the_gate_does_not_travel(tiny_voice: Path, tmp_path: Path) -> None:
    file = tmp_path / "strict.toml"
    file.write_text(QUICK.replace("log_mel_l1 = 5.0", "log_mel_l1 = 5.0\nstft_distance = 1e-9"))
    strict = load_recipe(str(file))
    out = tmp_path / "bundle"
    made = pipeline.compress(tiny_voice, load_target("cpu"), strict, out)
    assert all(stage.chosen.endswith("fp32.onnx") for stage in made.bundle.manifest.stages.values())
    assert "fails the gate" in made.bundle.manifest.stages["vocoder"].reason


def test_what_makes_nothing_but_durations_stays_in_floating_point(compressed: pipeline.Result) -> None:
    stage = compressed.bundle.manifest.stages["encoder"]
    (small,) = [variant for variant in [*stage.variants, *stage.tried] if variant.precision == "int8"]
    model = onnx.load(str(compressed.bundle.path.with_name(".bundle.work") / small.file))
    timing, in_int8 = leading_only_to(model, "durations"), set(explicit_int8(model))
    assert {node.op_type for node in model.graph.node if node.name in timing} >= {"Conv"}
    assert in_int8
    assert not timing & in_int8
    assert small.left_out
    assert set(small.left_out) <= timing


def test_the_search_is_kept_for_the_report(tiny_voice: Path, tmp_path: Path) -> None:
    file = tmp_path / "searching.toml"
    file.write_text(
        QUICK.replace("[judge]", 'stages = ["vocoder"]\nlimit = 0.03\nsearch_seconds = 1000.0\n[judge]')
    )
    made = pipeline.compress(tiny_voice, load_target("cpu"), load_recipe(str(file)), tmp_path / "bundle")
    kept = samples.read(made.bundle)
    assert kept is not None
    assert set(kept.sensitivity) == {"vocoder.int8.cpu.onnx"}
    searched = kept.sensitivity["vocoder.int8.cpu.onnx"]
    (small,) = [v for v in made.bundle.manifest.stages["vocoder"].measured if v.precision == "int8"]
    assert small.left_out == searched["left"] != {}
    assert not small.unmeasured
    assert "Sets tried in vocoder.int8.cpu.onnx" in page(made.bundle, kept, None)


def test_a_bundle_is_whole_where_its_sounds_have_no_room(
    tiny_voice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise samples.soundfile.LibsndfileError(7, prefix="")

    file, said = tmp_path / "quick.toml", list[str]()
    file.write_text(QUICK)
    monkeypatch.setattr("soundfile.write", full)
    recipe, out = load_recipe(str(file)), tmp_path / "bundle"
    pipeline.compress(tiny_voice, load_target("cpu"), recipe, out, say=said.append)
    assert said[-1].startswith("no sounds are kept")
    assert bundle.read(out).path == out
    assert not [path for path in tmp_path.iterdir() if "samples" in path.name]


@pytest.mark.parametrize(("engine", "told"), [("onnxruntime", "12"), ("tensorrt", "12 asked for")])
def test_int8_is_only_asked_of_tensorrt(engine: Literal["onnxruntime", "tensorrt"], told: str) -> None:
    variant = Variant("v.int8.onnx", "int8", engine, int8_operators={"Conv": 12})
    assert summary._row("vocoder", Stage([variant], variant.file, ""), variant)[6] == told


def test_each_set_of_files_keeps_its_figures() -> None:
    """A voice that fails as a whole is judged again with fewer files: a stopped run has all of that."""
    names = {slot("whole", {"encoder": one, "vocoder": other}) for one in "ab" for other in "ab"}
    assert len(names) == 4
    assert slot("whole", {"encoder": "a", "vocoder": "b"}) == slot("whole", {"vocoder": "b", "encoder": "a"})


@pytest.mark.parametrize("allow", [False, True], ids=["refused", "allowed"])
def test_a_gpu_target_is_sent_a_file_that_fails_the_gate_only_where_that_is_allowed(
    tiny_voice: Path, tmp_path: Path, allow: bool
) -> None:
    file = tmp_path / "strict.toml"
    file.write_text(QUICK.replace("log_mel_l1 = 5.0", "log_mel_l1 = 1e-9"))
    target, strict = load_target("orin_nano_8gb"), load_recipe(str(file))
    made = pipeline.compress(tiny_voice, target, strict, tmp_path / "bundle", allow_worse=allow)
    manifest = made.bundle.manifest
    for stage in manifest.stages.values():
        assert ([variant.precision for variant in stage.variants] == ["fp32"]) != allow
        assert "fails the gate: log_mel_l1" in stage.reason
    assert bool(list(made.bundle.path.glob("*.int8.onnx"))) == allow
    assert any(reason.startswith("log_mel_l1") for reason in manifest.failed_gate) == allow


@pytest.mark.parametrize("measure", ["loudness", "words"])
def test_a_measure_that_cannot_be_taken_is_refused_before_the_work(
    tiny_voice: Path, tmp_path: Path, measure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["calibration.measures.compare"], "installed", lambda _: False)
    file = tmp_path / "careful.toml"
    file.write_text(QUICK.replace("[judge]", f'[judge]\nmeasures = ["{measure}"]'))
    with pytest.raises(EdgevoiceError, match=measure):
        pipeline.compress(tiny_voice, load_target("cpu"), load_recipe(str(file)), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == [file]


def test_losses_that_add_up_put_a_stage_back(compressed: pipeline.Result) -> None:
    """Each stage passes alone, the voice does not: what loses most is left out until it does."""
    stages = {name: [_row(name, "fp32", 0, 9), _row(name, "int8", loss, 1)] for name, loss in LOSSES.items()}
    settled = settle(_Adding(), stages)  # type: ignore[arg-type]
    chosen = {name: choice.chosen.variant.precision for name, choice in settled.choices.items()}
    assert chosen == {"encoder": "int8", "acoustic": "int8", "vocoder": "fp32"}
    assert "with the other stages' files" in settled.choices["vocoder"].reason
    assert not settled.failed


@pytest.mark.parametrize("alone", ["", "hisses"], ids=["passes alone", "refused alone"])
def test_a_refused_file_gives_way_to_fewer_layers_before_fp32(
    compressed: pipeline.Result, alone: str
) -> None:
    stages = {name: [_row(name, "fp32", 0, 9), _row(name, "int8", loss, 1)] for name, loss in LOSSES.items()}
    stages["vocoder"][1] = replace(stages["vocoder"][1], refused=alone)
    settled = settle(_WithFewer(), stages)  # type: ignore[arg-type]
    assert settled.files["vocoder"] == Path("fewest.onnx")
    assert settled.choices["encoder"].chosen.variant.precision == "int8"
    told = alone or "with the other stages' files it fails the gate"
    reason = settled.choices["vocoder"].reason
    assert reason.startswith("INT8 in fewer layers is 9.00 times as fast as FP32 and passes the gate")
    assert f"(in more: {told}" in reason
    assert not settled.failed


def test_the_gate_that_refuses_a_set_of_layers_is_offered_a_smaller_one(
    tiny_voice: Path, tmp_path: Path
) -> None:
    file = tmp_path / "strict.toml"
    searching = 'stages = ["vocoder"]\nlimit = 5.0\nsearch_seconds = 1000.0\n[judge]'
    file.write_text(QUICK.replace("[judge]", searching).replace("log_mel_l1 = 5.0", "log_mel_l1 = 0.03"))
    recipe = load_recipe(str(file))
    # Its INT8 is too slow for a CPU, where nothing smaller is looked for then.
    target = load_target("orin_nano_8gb")
    made = pipeline.compress(tiny_voice, target, recipe, tmp_path / "bundle").bundle
    vocoder = made.manifest.stages["vocoder"]
    assert "INT8 in fewer layers (in more: log_mel_l1 is" in vocoder.reason
    (small,) = [v for v in vocoder.variants if v.precision == "int8" and v.engine == "tensorrt"]
    assert small.left_out
    assert 0 < small.quality["log_mel_l1"].mean <= 0.03
    with_all = pipeline.compress(
        tiny_voice, target, recipe, tmp_path / "all", allow_worse=True
    ).bundle.manifest.stages["vocoder"]
    (large,) = [v for v in with_all.variants if v.precision == "int8" and v.engine == "tensorrt"]
    assert not large.left_out
    assert large.quality["log_mel_l1"].mean > 0.03


def test_a_smaller_set_is_timed_beside_the_first_fp32() -> None:
    plain, again, found = _row("v", "fp32", 0, 9), _row("v", "fp32", 0, 18), _row("v", "int8", 0.1, 12)
    assert _timed_beside(plain, again, found).variant.milliseconds == 6


LOSSES: dict[StageName, float] = {"encoder": 0.1, "acoustic": 0.1, "vocoder": 0.2}


def _row(stage: str, precision: Precision, loss: float, spent: float) -> Measured:
    figure = {"log_mel_l1": Measure(loss, loss, loss, 2)}
    path = Path(f"{stage}.{precision}.onnx")
    return Measured(path, Variant(path.name, precision, milliseconds=spent, quality=figure))


class _Adding:
    """A run whose voice loses the sum of what its stages lose."""

    target = load_target("cpu")

    def voice(self, files: dict[StageName, Path], name: str) -> Heard:
        loss = sum(LOSSES[stage] for stage in files)
        return Heard({"log_mel_l1": Interval(loss, loss, loss, 2)})

    def verdict(self, heard: Heard) -> Verdict:
        return judge(Thresholds(log_mel_l1=0.3), heard.figures)

    def fewer(self, stage: StageName, row: Measured, plain: Measured) -> Measured | None:
        return None


class _WithFewer(_Adding):
    """Of the vocoder's layers there are sets that lose 0.15 and 0.05; the first is refused alone."""

    def voice(self, files: dict[StageName, Path], name: str) -> Heard:
        loss = sum(0.05 if "fewest" in path.name else LOSSES[stage] for stage, path in files.items())
        return Heard({"log_mel_l1": Interval(loss, loss, loss, 2)})

    def fewer(self, stage: StageName, row: Measured, plain: Measured) -> Measured | None:
        if stage != "vocoder" or row.path is None or "fewest" in row.path.name:
            return None
        if "fewer" in row.path.name:
            return replace(row, path=Path("fewest.onnx"), refused="")
        return replace(row, path=Path("fewer.onnx"), refused="DNSMOS")


class _Student:
    """Against its teacher it gives these reasons: in FP32, and with other files."""

    def __init__(self, plain: Sequence[str], shipped: Sequence[str]) -> None:
        self._plain, self._shipped = plain, shipped

    def reasons(self, files: dict[StageName, Path]) -> Sequence[str]:
        return self._shipped if files else self._plain


def test_the_search_of_each_file_is_kept_by_its_name() -> None:
    """A target with TensorRT has two INT8 files of a stage, and one of them may have been left behind."""
    rows = [replace(_row("vocoder", "int8", loss, 1), searched={"loss": loss}) for loss in (0.1, 0.2)]
    rows[1] = replace(rows[1], variant=msgspec.structs.replace(rows[1].variant, file="vocoder.int8.onnx2"))
    choice = Choice(rows[1], (rows[1],), (rows[0],), "")
    settled = Settled({"vocoder": choice}, {}, Heard({}), (), ())
    assert settled.searched() == {"vocoder.int8.onnx": {"loss": 0.1}, "vocoder.int8.onnx2": {"loss": 0.2}}


@pytest.mark.parametrize(
    ("plain", "shipped", "small", "told"),
    [
        (["wer is 1"], [], True, ["FP32 student: wer is 1"]),
        (["wer is 1"], ["wer is 2"], True, ["FP32 student: wer is 1", "wer is 2"]),
        (["wer is 1"], [], False, ["FP32 student: wer is 1"]),
        ([], ["wer is 2"], True, ["wer is 2"]),
    ],
)
def test_what_a_student_fails_in_fp32_is_told_where_its_files_pass(
    plain: list[str], shipped: list[str], small: bool, told: list[str]
) -> None:
    files: dict[StageName, Path] = {"vocoder": Path("vocoder.int8.onnx")} if small else {}
    settled = Settled({}, files, Heard({}), (), ())
    assert pipeline._against_teacher(_Student(plain, shipped), settled) == told  # type: ignore[arg-type]


def _voice_copy(voice: Path, folder: Path) -> Path:
    folder.mkdir()
    for suffix in ("", ".json"):
        shutil.copy(f"{voice}{suffix}", folder / f"{voice.name}{suffix}")
    return folder / voice.name


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from edgevoice.cli import main; main()",
        "compress",
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda v: v.write_bytes(v.read_bytes()[:20000]), "no whole ONNX file"),
        (lambda v: v.write_text("not a voice"), "no whole ONNX file"),
        (lambda v: v.with_name(v.name + ".json").unlink(), "is missing"),
        (lambda v: v.with_name(v.name + ".json").write_text("{"), "is no JSON"),
        (lambda v: v.with_name(v.name + ".json").write_text("{}"), "does not describe a Piper voice"),
        (lambda v: v.unlink(), "does not exist"),
    ],
)
def test_what_is_no_voice_is_one_clear_line(
    tiny_voice: Path, tmp_path: Path, spoil: object, told: str
) -> None:
    voice = _voice_copy(tiny_voice, tmp_path / "voice")
    spoil(voice)  # type: ignore[operator]
    out = tmp_path / "out" / "bundle"
    done = _run(voice, "-o", out)
    assert done.returncode == 2
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert told in errors[0]
    assert "Traceback" not in done.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--target", "orin_nano_9gb"], "orin_nano_8gb"),
        (["--target", "jetson_nano_4gb"], "not supported"),
        (["--recipe", "tiny"], "quantize"),
        (["--texts", "none.txt"], "none.txt"),
    ],
)
def test_what_is_unknown_is_one_clear_line(
    tiny_voice: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    done = _run(tiny_voice, "-o", tmp_path / "bundle", *arguments)
    assert done.returncode == 2
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_a_folder_of_the_users_is_never_overwritten(tiny_voice: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    done = _run(tiny_voice, "-o", tmp_path / "mine")
    assert done.returncode == 2
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "all of it"


def test_a_language_without_sentences_asks_for_some(tiny_voice: Path, tmp_path: Path) -> None:
    voice = _voice_copy(tiny_voice, tmp_path / "voice")
    config = voice.with_name(voice.name + ".json")
    described = json.loads(config.read_text())
    described["espeak"]["voice"] = "de"
    config.write_text(json.dumps(described))
    done = _run(voice, "-o", tmp_path / "bundle")
    assert done.returncode == 2
    assert "--texts" in done.stderr.splitlines()[-1]


def test_a_bundle_that_does_not_fit_is_refused(tiny_voice: Path, quick: Recipe, tmp_path: Path) -> None:
    small = tmp_path / "small.toml"
    small.write_text(_small_target())
    with pytest.raises(EdgevoiceError, match="MiB"):
        pipeline.compress(tiny_voice, load_target(small), quick, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def _small_target() -> str:
    from importlib.resources import files

    lines = (files("targets") / "profiles" / "cpu.toml").read_text().splitlines()
    return "\n".join(lines).replace("1024", "16")


@pytest.mark.timeout(600)
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(
    compressed: pipeline.Result, tiny_voice: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "quick.toml"
    recipe.write_text(QUICK)
    out = tmp_path / "bundle"
    command = [sys.executable, "-c", "from edgevoice.cli import main; main()", "compress", str(tiny_voice)]
    command += ["-o", str(out), "--recipe", str(recipe)]
    work = tmp_path / ".bundle.work"
    kills = 0
    for kept in (1, 3, 6, 9, 12):
        quiet = subprocess.DEVNULL
        with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) as process:
            try:
                while process.poll() is None and len(list(work.glob("*.*"))) < kept:
                    time.sleep(0.01)
                kills += process.poll() is None
            finally:
                process.kill()
        if out.exists():
            bundle.read(out)
    assert kills > 2
    assert _run(tiny_voice, "-o", out, "--recipe", recipe).returncode == 0
    # Which file of a stage is chosen is a matter of its measured time; what each file holds is not.
    files, others = bundle.read(out).manifest.files, compressed.bundle.manifest.files
    assert set(files) & set(others) > {"text.json"}
    assert all(files[name] == others[name] for name in set(files) & set(others))
    assert [path.name for path in tmp_path.glob(".bundle*")] == [".bundle.work"]
