"""The search finds the layer that hurts, keeps what passes, and goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import tiny_graphs as graphs

from calibration.graph import load
from calibration.groups import Group, _labels, groups
from calibration.quantize import measure_ranges, quantize
from calibration.ranges import Histogram, session
from calibration.sensitivity import search
from calibration.trials import Trials
from edgevoice.errors import EdgevoiceError

RATE = 8000
WINDOWS = [graphs.latents(seed=seed) for seed in range(8)]
UNSEEN = [graphs.latents(frames=300, seed=seed) for seed in (90, 91)]


@dataclass
class Renderer:
    """Runs a vocoder over unseen latents, and counts."""

    calls: int = 0
    stop_at: int = 10**9
    sizes: list[int] = field(default_factory=list)

    def __call__(self, path: Path) -> Sequence[np.ndarray]:
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        runner = session(str(path))
        return [runner.run(None, window)[0].ravel() for window in UNSEEN]


@pytest.fixture(scope="module")
def vocoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.vocoder(tmp_path_factory.mktemp("sensitivity") / "vocoder.onnx")


@pytest.fixture(scope="module")
def found(vocoder: Path) -> list[Group]:
    return groups(load(vocoder), WINDOWS[0])


@pytest.fixture(scope="module")
def histograms(vocoder: Path) -> dict[str, Histogram]:
    return measure_ranges(vocoder, WINDOWS)


def test_groups_share_the_multiplications(found: list[Group]):
    assert [group.name for group in found] == ["dec/pre/Conv", "dec/res/Conv", "dec/post/Conv"]
    assert sum(group.share for group in found) == pytest.approx(1.0)
    pre, res, post = (group.share for group in found)
    assert res == pytest.approx(graphs.HOP * pre, rel=0.02)
    assert post == pytest.approx(res / graphs.CHANNELS)


def test_what_is_left_out_has_no_share(vocoder: Path, found: list[Group]):
    kept = groups(load(vocoder), WINDOWS[0], without={"/dec/res/Conv"})
    assert [group.name for group in kept] == ["dec/pre/Conv", "dec/post/Conv"]
    assert sum(group.share for group in kept) == pytest.approx(1.0)
    every = {layer for group in found for layer in group.layers}
    assert groups(load(vocoder), WINDOWS[0], without=every) == []


def test_labels_merge_by_scope_then_by_neighbours():
    names = [f"/enc/layers.{layer}/{part}/Conv" for layer in range(6) for part in ("q", "k", "v")]
    assert len(set(_labels(names, 32))) == 18
    assert set(_labels(names, 8)) == {f"enc/layers/{layer}" for layer in range(6)}
    plain = [f"Conv_{index}" for index in range(100)]
    assert 20 <= len(set(_labels(plain, 25))) <= 25
    assert _labels(plain[:5], 3) == [*["Conv_0 … Conv_1 (2)"] * 2, *["Conv_2 … Conv_3 (2)"] * 2, "Conv_4"]
    assert _labels(["Conv_0"], 25) == ["Conv_0"]


def run(vocoder: Path, found: list[Group], histograms: dict[str, Histogram], limit: float, **more: object):
    render = more.pop("render", Renderer())
    return search(vocoder, render, RATE, found, histograms, limit=limit, method="minmax", **more)


def test_everything_or_nothing_at_the_extremes(
    vocoder: Path, found: list[Group], histograms: dict[str, Histogram]
):
    everything = run(vocoder, found, histograms, 100.0)
    assert set(everything.chosen) == {group.name for group in found}
    assert everything.exclude == ()
    assert everything.share == pytest.approx(1.0)
    nothing = run(vocoder, found, histograms, 1e-9)
    assert nothing.chosen == ()
    assert len(nothing.exclude) == len(nothing.left) == 3
    assert nothing.loss == 0.0


def test_the_chosen_set_passes_and_no_further_layer_would(
    vocoder: Path, found: list[Group], histograms: dict[str, Histogram]
):
    all_losses = run(vocoder, found, histograms, 100.0)
    limit = 0.9 * all_losses.loss
    result = run(vocoder, found, histograms, limit)
    assert 0 < len(result.chosen) < 3
    assert result.loss <= limit
    assert result.complete
    evaluator = Trials(vocoder, Renderer(), RATE, found, histograms, None, {"method": "minmax"})
    for name in result.left:
        assert evaluator.loss([*result.chosen, name]) > limit
    out = vocoder.with_name("chosen.onnx")
    report = quantize(vocoder, out, histograms=histograms, method="minmax", exclude=result.exclude)
    assert len(report.quantised) == len(result.chosen)


def test_a_stopped_search_goes_on(
    vocoder: Path, found: list[Group], histograms: dict[str, Histogram], tmp_path: Path
):
    state = tmp_path / "deep" / "state.json"
    limit = 0.9 * run(vocoder, found, histograms, 100.0).loss
    with pytest.raises(KeyboardInterrupt):
        run(vocoder, found, histograms, limit, state=state, render=Renderer(stop_at=4))
    assert [path.name for path in state.parent.iterdir()] == ["state.json"]
    resumed, fresh = (
        run(vocoder, found, histograms, limit, state=state),
        run(vocoder, found, histograms, limit),
    )
    assert resumed.evaluations == fresh.evaluations - 2
    assert (resumed.chosen, resumed.loss) == (fresh.chosen, fresh.loss)
    again = run(vocoder, found, histograms, limit, state=state)
    assert again.evaluations == 0
    assert again.chosen == fresh.chosen


def test_what_was_kept_of_another_model_or_cut_short_is_not_used(
    vocoder: Path, found: list[Group], histograms: dict[str, Histogram], tmp_path: Path
):
    state = tmp_path / "state.json"
    first = run(vocoder, found, histograms, 100.0, state=state)
    other = run(vocoder, found, histograms, 100.0, state=state, reduce_range=False)
    assert other.evaluations == first.evaluations > 0
    state.write_text(state.read_text()[:40])
    assert run(vocoder, found, histograms, 100.0, state=state).evaluations == first.evaluations


def test_no_time_leaves_layers_in_float(vocoder: Path, found: list[Group], histograms: dict[str, Histogram]):
    result = run(vocoder, found, histograms, 100.0, seconds=-1.0)
    assert not result.complete
    assert result.chosen == ()
    assert all(loss is None for loss in result.left.values())


def test_a_model_without_layers_is_refused(vocoder: Path, histograms: dict[str, Histogram]):
    with pytest.raises(EdgevoiceError, match="no layers"):
        search(vocoder, Renderer(), RATE, [], histograms, limit=1.0)


def test_a_dead_branch_is_left_alone(tmp_path: Path):
    """A conditioning that is all zeros, as in a voice with one speaker, has no range."""
    path = graphs.dead_branch(tmp_path / "dead.onnx")
    windows = [{"x": np.random.default_rng(s).normal(size=(1, 2, 400)).astype(np.float32)} for s in range(8)]
    measured = measure_ranges(path, windows)
    found = groups(load(path), windows[0])
    assert len(found) == 2

    def render(file: Path) -> Sequence[np.ndarray]:
        return [session(str(file)).run(None, windows[0])[0].ravel()]

    result = search(path, render, RATE, found, measured, limit=10.0, method="minmax")
    assert result.exclude == ("/dead/Conv",)
    report = quantize(path, tmp_path / "int8.onnx", histograms=measured, exclude=result.exclude)
    assert report.quantised == quantize(path, tmp_path / "int8.onnx", histograms=measured).quantised
    assert report.left == ("/dead/Conv",)
