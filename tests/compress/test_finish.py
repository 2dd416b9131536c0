"""The vocoder's finish on its fellows' latents, and files of weights that a run starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny_labels import tiny_labels  # noqa: E402
from tiny_students import SCHEDULE, TABLES, config, trained_runs  # noqa: E402

from compress.distil import checkpoint, trained, weights  # noqa: E402
from compress.distil.config import DistilConfig, recipe_key  # noqa: E402
from compress.distil.tasks import finish, make_task  # noqa: E402
from compress.distil.train import train  # noqa: E402
from compress.labels.store import Labels  # noqa: E402
from edgevoice.errors import EdgevoiceError  # noqa: E402


def text(mix: float = 0.5, steps: int = 3, finish_steps: int = 5) -> str:
    table = f"[distil.finish]\nmix = {mix}\n[distil.finish.schedule]\n"
    return TABLES.format(steps=steps) + table + SCHEDULE.format(steps=finish_steps)


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Labels:
    return tiny_labels(tmp_path_factory.mktemp("labels"), count=40)


@pytest.fixture
def runs(labels: Labels, tmp_path: Path) -> Path:
    return trained_runs(tmp_path / "runs", labels)


def finished(made: DistilConfig, labels: Labels, runs: Path, folder: Path, stop_at: int | None = None) -> Any:
    finish.gather(made, labels, runs, folder)
    task = make_task(made, "finish", labels, folder=folder)
    train(task, folder, stop_at=stop_at, start=finish.start(folder))
    return checkpoint.load(folder)


def assert_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_finish_resumes_bit_for_bit_although_its_fellows_went_on(
    labels: Labels, runs: Path, tmp_path: Path
) -> None:
    made = config(text())
    whole = finished(made, labels, runs, tmp_path / "whole")
    finished(made, labels, runs, tmp_path / "parts", stop_at=2)
    trained_runs(runs, labels, TABLES.format(steps=6))
    parts = finished(made, labels, runs, tmp_path / "parts")
    assert whole["step"] == parts["step"] == 5
    for kept in ("student", "average"):
        assert_equal(whole[kept], parts[kept])


def test_the_finish_starts_from_the_vocoder_and_counts_on(labels: Labels, runs: Path, tmp_path: Path) -> None:
    made = config(text())
    folder = tmp_path / "finish"
    finished(made, labels, runs, folder, stop_at=0)
    before = trained.from_run(make_task(made, "vocoder", labels), "vocoder", runs / "vocoder")
    first = trained.from_run(make_task(made, "finish", labels, folder=folder), "finish", folder)
    for name, value in before.student.state_dict().items():
        torch.testing.assert_close(first.student.state_dict()[name], value, atol=1e-3, rtol=1e-3)
    finished(made, labels, runs, folder)
    after = trained.from_run(make_task(made, "finish", labels, folder=folder), "finish", folder)
    assert (after.stage, after.card.steps, after.card.finish) == ("vocoder", 3 + 5, 5)
    assert after.card.seconds > before.card.seconds
    assert after.card.recipe == before.card.recipe == recipe_key(made.vocoder)


@pytest.mark.parametrize("mix", [0.5, 1.0])
def test_so_many_segments_have_the_fellows_latents(
    mix: float, labels: Labels, runs: Path, tmp_path: Path
) -> None:
    made = config(text(mix))
    finish.gather(made, labels, runs, tmp_path)
    task = make_task(made, "finish", labels, folder=tmp_path)
    plain = make_task(made, "vocoder", labels)
    replaced = []
    for step in range(60):
        ours, theirs = task.batch(step), plain.batch(step)
        assert torch.equal(ours["audio"], theirs["audio"])
        replaced += [not torch.equal(*pair) for pair in zip(ours["latents"], theirs["latents"], strict=True)]
    assert mix == 1.0 or 0.3 < np.mean(replaced) < 0.7
    assert mix == 0.5 or all(replaced)
    assert all(torch.equal(task.batch(7)[name], value) for name, value in task.batch(7).items())


@pytest.mark.parametrize(("mix", "told"), [(0.0, "must be above 0"), (1.5, "must be above 0 and at most 1")])
def test_a_share_that_is_none_is_refused(
    mix: float, told: str, labels: Labels, runs: Path, tmp_path: Path
) -> None:
    with pytest.raises(EdgevoiceError, match=told):
        finish.gather(config(text(mix)), labels, runs, tmp_path)


def test_a_finish_without_its_fellows_says_what_to_train(labels: Labels, tmp_path: Path) -> None:
    with pytest.raises(EdgevoiceError, match="holds no checkpoint; train the acoustic first"):
        finish.gather(config(text()), labels, tmp_path, tmp_path / "finish")


def kept(runs: Path, labels: Labels, stage: str, file: Path) -> Path:
    task = make_task(config(), stage, labels)
    weights.save(file, trained.from_run(task, stage, runs / stage), {}, weights.losses(runs / stage))
    return file


def test_a_run_goes_on_from_a_file_of_weights(labels: Labels, runs: Path, tmp_path: Path) -> None:
    file = kept(runs, labels, "acoustic", tmp_path / "acoustic.safetensors")
    task = make_task(config(TABLES.format(steps=4)), "acoustic", labels)
    run = tmp_path / "run"
    train(task, run, stop_at=2, start=weights.start(file, "acoustic"))
    train(task, run)  # a later session need not name the file
    train(task, run, start=weights.start(file, "acoustic"))
    assert trained.from_run(task, "acoustic", run).card.steps == 3 + 4
    train(task, tmp_path / "whole", start=weights.start(file, "acoustic"))
    states = [checkpoint.load(folder) for folder in (run, tmp_path / "whole")]
    assert states[0] is not None
    assert states[1] is not None
    assert_equal(states[0]["student"], states[1]["student"])
    train(task, tmp_path / "fresh", stop_at=1)
    with pytest.raises(EdgevoiceError, match="did not start from"):
        train(task, tmp_path / "fresh", start=weights.start(file, "acoustic"))


def test_weights_that_do_not_fit_are_refused(labels: Labels, runs: Path, tmp_path: Path) -> None:
    file = kept(runs, labels, "acoustic", tmp_path / "acoustic.safetensors")
    with pytest.raises(EdgevoiceError, match="holds the acoustic, not the vocoder"):
        weights.start(file, "vocoder")
    wider = config(TABLES.format(steps=3).replace("width = 8", "width = 12"))
    with pytest.raises(EdgevoiceError, match="another network than the recipe describes: they differ in"):
        train(make_task(wider, "acoustic", labels), tmp_path / "run", start=weights.start(file, "acoustic"))
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(EdgevoiceError, match="is no whole file of weights"):
        weights.read(file, "acoustic")


@pytest.mark.parametrize("stage", ["vocoder", "acoustic", "encoder"])
def test_weights_come_back_as_the_same_student(
    stage: str, labels: Labels, runs: Path, tmp_path: Path
) -> None:
    run = trained.from_run(make_task(config(), stage, labels), stage, runs / stage)
    back = weights.read(kept(runs, labels, stage, tmp_path / "a.safetensors"), stage)
    assert back.card == run.card
    for name, value in run.student.state_dict().items():
        torch.testing.assert_close(back.student.state_dict()[name], value, atol=1e-3, rtol=1e-3)


ADVERSARY = "[distil.finish.adversary]\nwidth = 4\nsizes = [256, 512]\n"


def test_a_finish_with_an_adversary_resumes_bit_for_bit(labels: Labels, runs: Path, tmp_path: Path) -> None:
    made = config(text() + ADVERSARY)
    whole = finished(made, labels, runs, tmp_path / "whole")
    finished(made, labels, runs, tmp_path / "parts", stop_at=2)
    parts = finished(made, labels, runs, tmp_path / "parts")
    assert_equal(whole["student"], parts["student"])
    for size in ("256", "512"):
        assert_equal(whole["adversary"][size]["model"], parts["adversary"][size]["model"])
    plain = finished(config(text()), labels, runs, tmp_path / "plain")
    assert any(not torch.equal(value, plain["student"][name]) for name, value in whole["student"].items())


def test_a_finish_begun_without_its_adversary_is_another_run(
    labels: Labels, runs: Path, tmp_path: Path
) -> None:
    finished(config(text()), labels, runs, tmp_path / "run", stop_at=1)
    with pytest.raises(EdgevoiceError, match="belongs to another recipe"):
        finished(config(text() + ADVERSARY), labels, runs, tmp_path / "run")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("sizes = []", "sizes must name STFT sizes"),
        ("sizes = [16]", "at least 32 samples"),
        ("width = 0", "width and rate must be above 0"),
        ("weight = -0.1", "weight and features not below"),
        ("sizes = [1048576]", "too long for a segment"),
    ],
)
def test_an_adversary_that_cannot_be_is_refused_by_name(
    table: str, told: str, labels: Labels, runs: Path, tmp_path: Path
) -> None:
    with pytest.raises(EdgevoiceError, match=told):
        finished(config(text() + f"[distil.finish.adversary]\n{table}\n"), labels, runs, tmp_path, stop_at=0)


def test_a_key_of_an_adversary_counts_only_where_it_is_no_default() -> None:
    def key(table: str) -> str:
        return recipe_key(config(text() + table).finish)

    empty = "[distil.finish.adversary]\n"
    assert key("") != key(empty)
    assert key(empty) == key(empty + "width = 16\n") != key(empty + "width = 17\n")
