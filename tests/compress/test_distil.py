"""Distillation: learns, resumes bit for bit, and refuses what does not belong together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tiny_labels import HOP, RATE, SENTENCES, TinyTeacher, tiny_labels  # noqa: E402

from compress.distil import checkpoint, trained  # noqa: E402
from compress.distil.config import (  # noqa: E402
    AcousticStage,
    DistilConfig,
    EncoderStage,
    Schedule,
    VocoderLoss,
    VocoderStage,
    from_table,
    read_recipe,
)
from compress.distil.losses import spectral  # noqa: E402
from compress.distil.tasks import make_task  # noqa: E402
from compress.distil.tasks.base import Segments  # noqa: E402
from compress.distil.train import rate_at, train  # noqa: E402
from compress.labels.make import SHARD, label  # noqa: E402
from compress.labels.store import Labels  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402

torch.set_num_threads(1)  # threads that wait for each other on busy cores take ten times as long

SCHEDULE = Schedule(steps=8, items=4, frames=20, rate=3e-3, warmup=2, save_every=3)
CONFIG = DistilConfig(
    vocoder=VocoderStage(
        width=8, kernels=(3,), n_fft=64, loss=VocoderLoss(sizes=(32, 64, 128), draw=2), schedule=SCHEDULE
    ),
    acoustic=AcousticStage(width=8, kernels=(3,), schedule=SCHEDULE),
    encoder=EncoderStage(
        width=8,
        kernels=(3, 3),
        attention_after=(1,),
        duration_width=8,
        duration_kernels=(3,),
        schedule=SCHEDULE,
    ),
)
STAGES = ["vocoder", "acoustic", "encoder"]


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    return tiny_labels(tmp_path_factory.mktemp("labels"))


def weights(folder: Path) -> dict[str, Any]:
    state = checkpoint.load(folder)
    assert state is not None
    return {key: state[key] for key in ("student", "average", "optimiser", "step")}


def assert_same(first: Any, second: Any) -> None:
    if isinstance(first, dict):
        assert first.keys() == second.keys()
        for key in first:
            assert_same(first[key], second[key])
    elif isinstance(first, torch.Tensor):
        assert torch.equal(first, second)
    elif isinstance(first, (list, tuple)):
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_run_equals_an_uninterrupted_one(stage: str, labels: Labels, tmp_path: Path) -> None:
    assert train(make_task(CONFIG, stage, labels), tmp_path / "whole") == 8
    assert train(make_task(CONFIG, stage, labels), tmp_path / "parts", stop_at=3) == 3
    assert train(make_task(CONFIG, stage, labels), tmp_path / "parts") == 8
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


@pytest.mark.parametrize("stage", STAGES)
def test_training_learns(stage: str, labels: Labels, tmp_path: Path) -> None:
    table = replace(getattr(CONFIG, stage), schedule=replace(SCHEDULE, steps=60, decay=0.0))
    task = make_task(DistilConfig(**{stage: table}), stage, labels)
    fixed = task.batch(1000)

    def score() -> float:
        state = checkpoint.load(tmp_path)
        student = task.student()
        if state:
            student.load_state_dict(state["student"])
        return float(task.loss(student, fixed, 0)[0].detach())

    torch.manual_seed(SCHEDULE.seed)
    before = score()
    train(task, tmp_path)
    assert score() < 0.9 * before
    assert (tmp_path / "curve.csv").read_text().startswith("step,seconds,term,mean")


def test_a_killed_run_goes_on_from_the_last_checkpoint(
    labels: Labels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(make_task(CONFIG, "vocoder", labels), tmp_path / "whole")
    task = make_task(CONFIG, "vocoder", labels)
    batch = task.batch

    def dies(step: int, rank: int = 0, ranks: int = 1) -> dict[str, Any]:
        if step == 5:
            raise KeyboardInterrupt
        return batch(step, rank, ranks)

    monkeypatch.setattr(task, "batch", dies)
    with pytest.raises(KeyboardInterrupt):
        train(task, tmp_path / "killed")
    assert weights(tmp_path / "killed")["step"] == 3
    train(make_task(CONFIG, "vocoder", labels), tmp_path / "killed")
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))


def test_a_run_that_is_asked_to_stop_saves_and_goes_on(labels: Labels, tmp_path: Path) -> None:
    train(make_task(CONFIG, "vocoder", labels), tmp_path / "whole")
    asked = iter([False, False, True])
    folder = tmp_path / "parts"
    assert train(make_task(CONFIG, "vocoder", labels), folder, stopped=lambda: next(asked)) == 2
    train(make_task(CONFIG, "vocoder", labels), folder)
    assert_same(weights(tmp_path / "whole"), weights(folder))


def test_nan_stops_with_the_step_and_keeps_the_last_good_checkpoint(labels: Labels, tmp_path: Path) -> None:
    task = make_task(CONFIG, "vocoder", labels)
    train(task, tmp_path, stop_at=3)
    good = task.batch

    def poisoned(step: int, rank: int = 0, ranks: int = 1) -> dict[str, Any]:
        batch = good(step, rank, ranks)
        if step == 4:
            batch["latents"][0, 0, 0] = float("nan")
        return batch

    task.batch = poisoned  # type: ignore[method-assign]
    with pytest.raises(EdgevoiceError, match="nan at step 4"):
        train(task, tmp_path)
    assert weights(tmp_path)["step"] == 3


def test_a_checkpoint_that_does_not_belong_is_refused(labels: Labels, tmp_path: Path) -> None:
    train(make_task(CONFIG, "acoustic", labels), tmp_path / "run", stop_at=1)
    assert CONFIG.acoustic is not None
    wider = DistilConfig(acoustic=replace(CONFIG.acoustic, expansion=3.0))
    with pytest.raises(EdgevoiceError, match="another recipe"):
        train(make_task(wider, "acoustic", labels), tmp_path / "run")
    other = tiny_labels(tmp_path / "other", version="2")
    with pytest.raises(EdgevoiceError, match="another teacher's labels"):
        train(make_task(CONFIG, "acoustic", other), tmp_path / "run")


def test_more_labels_are_taken_only_when_allowed_and_more_steps_always(
    labels: Labels, tmp_path: Path
) -> None:
    few = tiny_labels(tmp_path / "few", count=40)
    train(make_task(CONFIG, "acoustic", few), tmp_path / "run", stop_at=1)
    assert CONFIG.acoustic is not None
    longer = DistilConfig(acoustic=replace(CONFIG.acoustic, schedule=replace(SCHEDULE, steps=9)))
    with pytest.raises(EdgevoiceError, match="--grow"):
        train(make_task(longer, "acoustic", labels), tmp_path / "run")
    assert train(make_task(longer, "acoustic", labels), tmp_path / "run", grow=True) == 9


def test_a_damaged_checkpoint_is_named(labels: Labels, tmp_path: Path) -> None:
    (tmp_path / checkpoint.NAME).write_bytes(b"PK\x03\x04half")
    with pytest.raises(EdgevoiceError, match=r"checkpoint\.pt is damaged"):
        train(make_task(CONFIG, "acoustic", labels), tmp_path)


def test_ranks_share_a_batch_and_its_gradient(labels: Labels) -> None:
    """What two processes average is what one computes."""
    task = make_task(CONFIG, "vocoder", labels)
    student = task.student()
    whole, _ = task.loss(student, task.batch(3), 3)
    halves = [task.loss(student, task.batch(3, rank, 2), 3)[0] for rank in range(2)]
    assert float(sum(halves).detach() / 2) == pytest.approx(float(whole.detach()), rel=1e-5)


def test_the_loss_is_zero_for_the_same_sound_and_sees_phase() -> None:
    wave = torch.sin(torch.arange(2000) * 0.3)[None] * 0.5
    same = spectral(wave, wave, 128, RATE)
    assert float(same["magnitude"] + same["mel"] + same["convergence"]) == pytest.approx(0, abs=1e-5)
    turned = spectral(-wave, wave, 128, RATE)
    assert float(turned["magnitude"]) == pytest.approx(0, abs=1e-5)
    assert float(turned["complex"]) > 1


def test_segments_keep_the_mask_open_at_the_ends_only(labels: Labels) -> None:
    task = make_task(CONFIG, "vocoder", labels)
    seen = set()
    for step in range(40):
        batch = task.batch(step)
        mask = batch["mask"][:, ::HOP]
        for row in mask:
            seen.add((bool(row[0]), bool(row[-1])))
        assert bool((mask[:, task.context : -task.context] == 1).all())
    assert {(True, False), (False, True), (False, False)} <= seen


def test_a_vocoder_sees_only_what_has_audio(tmp_path: Path) -> None:
    label(TinyTeacher, SENTENCES, "tiny", tmp_path, with_audio=1)
    seen = Labels(tmp_path)

    def drawn(with_audio: bool) -> set[int]:
        segments = Segments(seen, 8, 1, with_audio)
        return {utterance for step in range(40) for utterance, _ in segments.draw(step, 4, 0)}

    assert max(drawn(True)) < SHARD <= max(drawn(False))


def test_labels_without_any_audio_train_no_vocoder(tmp_path: Path) -> None:
    label(TinyTeacher, SENTENCES[:SHARD], "tiny", tmp_path, with_audio=0)
    assert train(make_task(CONFIG, "acoustic", Labels(tmp_path)), tmp_path / "run", stop_at=1) == 1
    with pytest.raises(EdgevoiceError, match="no labelled utterance with its audio"):
        make_task(CONFIG, "vocoder", Labels(tmp_path))
    with pytest.raises(EdgevoiceError, match=r"no audio of 'Sentence number 0.*--with-audio"):
        Labels(tmp_path).read(0, ["audio"])


def test_audio_made_later_is_another_set_of_labels_for_a_vocoder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    label(TinyTeacher, SENTENCES, "tiny", folder, with_audio=1)
    for stage in ("vocoder", "acoustic"):
        train(make_task(CONFIG, stage, Labels(folder)), tmp_path / stage, stop_at=1)
    before = trained.from_run(make_task(CONFIG, "vocoder", Labels(folder)), "vocoder", tmp_path / "vocoder")
    label(TinyTeacher, SENTENCES, "tiny", folder)
    task = make_task(CONFIG, "vocoder", Labels(folder))
    assert trained.from_run(task, "vocoder", tmp_path / "vocoder").card == before.card
    with pytest.raises(EdgevoiceError, match=r"on 40 utterances with audio, and now 90 have it.*--grow"):
        train(task, tmp_path / "vocoder", stop_at=2)
    assert train(task, tmp_path / "vocoder", stop_at=2, grow=True) == 2
    assert train(make_task(CONFIG, "acoustic", Labels(folder)), tmp_path / "acoustic", stop_at=2) == 2


def test_too_short_labels_are_named(labels: Labels) -> None:
    assert CONFIG.vocoder is not None
    long = DistilConfig(vocoder=replace(CONFIG.vocoder, schedule=replace(SCHEDULE, frames=10_000)))
    with pytest.raises(EdgevoiceError, match="no labelled utterance with its audio has 10000 frames"):
        make_task(long, "vocoder", labels)


def test_the_rate_rises_stays_and_falls() -> None:
    schedule = Schedule(steps=100, warmup=10, decay=0.5, rate=1.0)
    assert rate_at(0, schedule) == pytest.approx(0.1)
    assert rate_at(30, schedule) == 1.0
    assert rate_at(75, schedule) == pytest.approx(0.5)
    assert rate_at(100, schedule) == 0.0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"vocodr": {}}, "unknown key distil.vocodr"),
        ({"vocoder": {"widht": 3}}, "unknown key distil.vocoder.widht"),
        ({"vocoder": {"schedule": {"step": 3}}}, "unknown key distil.vocoder.schedule.step"),
        ({"vocoder": {"width": "wide"}}, "distil.vocoder.width must be int"),
        ({"vocoder": {"width": True}}, "distil.vocoder.width must be int"),
        ({"vocoder": {"kernels": 3}}, "must be a list of whole numbers"),
        ({"vocoder": 3}, "distil.vocoder must be a table"),
    ],
)
def test_a_wrong_recipe_is_refused_by_name(table: dict[str, Any], message: str) -> None:
    with pytest.raises(EdgevoiceError, match=message):
        from_table(DistilConfig, table)


def test_shipped_recipes_are_valid() -> None:
    import compress

    recipes = sorted((Path(compress.__file__).parent / "recipes").glob("distill-*.toml"))
    assert recipes
    for recipe in recipes:
        assert read_recipe(recipe) != DistilConfig()


def test_a_stage_without_a_table_is_named(labels: Labels) -> None:
    with pytest.raises(EdgevoiceError, match=r"no \[distil.encoder\] table"):
        make_task(DistilConfig(), "encoder", labels)
