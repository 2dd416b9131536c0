"""The plan: its sums, its marks, and what a refusal says."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import targets
from targets import advice, overhead
from targets.errors import TargetError
from targets.planning import Plan, StageCost, plan
from targets.profile import MIB, Target

CPU = targets.load("cpu")
NANO = targets.load("orin_nano_4gb")
SIZES = st.integers(min_value=0, max_value=1 << 40)


def stage(name: str, weights: float, arena: float, buffers: float = 0, precision: str = "fp32") -> StageCost:
    """A stage with sizes in MiB."""
    return StageCost(name, precision, int(weights * MIB), int(arena * MIB), int(buffers * MIB))


def three(scale: float = 1) -> list[StageCost]:
    return [
        stage("encoder", 25 * scale, 18 * scale, 1),
        stage("acoustic", 20 * scale, 17 * scale, 2),
        stage("vocoder", 7 * scale, 130 * scale, 3),
    ]


def with_budget(mib: float, base: Target = CPU) -> Target:
    return dataclasses.replace(base, budget_bytes=int(mib * MIB), budget_rule="for a test")


def test_weights_and_buffers_add_up_and_the_arena_is_the_largest() -> None:
    made = plan(three(), CPU, runtime_bytes=40 * MIB)
    assert made.row("weights").bytes == 52 * MIB
    assert made.row("arena").bytes == 130 * MIB
    assert "vocoder" in made.row("arena").basis
    assert made.row("buffers").bytes == 6 * MIB
    assert made.total_bytes == (52 + 130 + 6 + 40) * MIB
    assert made.fits
    assert made.refusal() is None


@given(st.lists(st.tuples(SIZES, SIZES, SIZES), min_size=1, max_size=6), SIZES)
def test_a_plan_lies_between_its_largest_stage_and_the_sum(
    sizes: list[tuple[int, int, int]], runtime: int
) -> None:
    stages = [StageCost(f"s{i}", "fp32", *size) for i, size in enumerate(sizes)]
    made = plan(stages, CPU, runtime_bytes=runtime)
    total = made.total_bytes - runtime
    assert max(sum(size) for size in sizes) <= total <= sum(map(sum, sizes))
    without_arena = sum(weights + buffers for weights, _, buffers in sizes)
    assert total == without_arena + max(arena for _, arena, _ in sizes)
    assert made.fits == (made.total_bytes <= CPU.budget_bytes) == (made.refusal() is None)


@given(st.lists(st.tuples(SIZES, SIZES, SIZES), min_size=2, max_size=5))
def test_one_stage_more_never_makes_a_plan_smaller(sizes: list[tuple[int, int, int]]) -> None:
    stages = [StageCost(f"s{i}", "fp16", *size) for i, size in enumerate(sizes)]
    assert plan(stages[:-1], CPU).total_bytes <= plan(stages, CPU).total_bytes


def test_a_row_is_a_reading_only_where_every_stage_was_read() -> None:
    weights = frozenset({"weights"})
    read = [dataclasses.replace(s, read=weights) for s in three()]
    assert plan(read, CPU).row("weights").mark == "reading"
    assert plan(read, CPU).row("arena").mark == "estimate"
    assert plan([read[0], *three()[1:]], CPU).row("weights").mark == "estimate"


def test_the_runtime_row_follows_the_engine_and_a_reading_replaces_it() -> None:
    assert plan(three(), CPU).row("runtime").bytes == overhead.CPU.bytes
    assert plan(three(), NANO).row("runtime").mark == "estimate"
    assert plan(three(), NANO).row("runtime").bytes > plan(three(), targets.load("t4")).row("runtime").bytes
    read = plan(three(), NANO, runtime_bytes=123).row("runtime")
    assert (read.bytes, read.mark) == (123, "reading")
    own = dataclasses.replace(NANO, runtime_bytes=5 * MIB)
    assert plan(three(), own).row("runtime").bytes == 5 * MIB


def test_a_voice_of_exactly_the_budget_fits() -> None:
    assert plan([stage("vocoder", 60, 40)], with_budget(100), runtime_bytes=0).fits
    assert not plan([stage("vocoder", 60, 40)], with_budget(100), runtime_bytes=1).fits


def test_less_free_memory_than_the_budget_is_the_limit() -> None:
    made = plan(three(), CPU, available_bytes=100 * MIB)
    assert made.limit_bytes == 100 * MIB
    assert not made.fits
    assert "only 100.0 MiB are free now (budget 1024.0 MiB)" in str(made.refusal())
    assert plan(three(), CPU, available_bytes=8192 * MIB).limit_bytes == CPU.budget_bytes


def test_a_refusal_gives_the_numbers_the_largest_parts_and_what_fits() -> None:
    made = plan(three(), with_budget(200, NANO), runtime_bytes=50 * MIB)
    line = str(made.refusal())
    assert line.startswith("the voice does not fit Jetson Orin Nano 4GB: it needs 238.0 MiB")
    assert "the budget is 200.0 MiB (for a test), 38.0 MiB too much" in line
    assert (
        "largest parts: arena 130.0 MiB (estimate), weights 52.0 MiB (estimate), runtime 50.0 MiB (reading)"
        in line
    )
    # FP16: weights 26, arena 8 + 61, buffers 6, runtime 50.
    assert line.endswith("would fit: FP16 (estimate), 151.0 MiB")
    assert "\n" not in line


def test_a_known_alternative_is_named_before_an_estimate() -> None:
    small = [dataclasses.replace(s, arena_bytes=s.arena_bytes // 8) for s in three()]
    large = three(2)
    ways = {"recipe wide": large, "recipe small": small}
    made = plan(three(), with_budget(200), runtime_bytes=50 * MIB, alternatives=ways)
    assert "would fit: recipe small, " in str(made.refusal())


def test_a_shorter_chunk_is_named_where_no_precision_is_left() -> None:
    int8 = [dataclasses.replace(s, precision="int8") for s in three()]
    made = plan(int8, with_budget(200), runtime_bytes=50 * MIB)
    assert "would fit: half the chunk length (estimate), 186.0 MiB" in str(made.refusal())


def test_a_shorter_chunk_does_not_shrink_the_encoder() -> None:
    int8 = [stage("encoder", 1, 300, precision="int8"), stage("vocoder", 1, 10, precision="int8")]
    line = str(plan(int8, with_budget(200), runtime_bytes=0).refusal())
    assert "nothing known fits" in line
    assert "302.0 MiB" in line


def test_a_voice_that_nothing_helps_is_told_so() -> None:
    line = str(plan(three(50), CPU).refusal())
    assert "nothing known fits" in line
    assert "take a larger target, or take a recipe with a smaller student" in line
    assert "free memory on the device" in str(plan(three(), CPU, available_bytes=MIB).refusal())


@given(st.sampled_from(["fp32", "fp16", "int8"]), st.integers(1, 1 << 36), st.integers(1, 1 << 36), st.data())
def test_advice_that_says_it_would_fit_is_below_the_limit(
    precision: str, weights: int, arena: int, data: st.DataObject
) -> None:
    stages = [StageCost("vocoder", precision, weights, arena, 0)]
    budget = data.draw(st.integers(1, weights + arena))
    target = dataclasses.replace(NANO, budget_bytes=budget)
    made = plan(stages, target, runtime_bytes=0)
    line = made.refusal()
    totals = dict(advice.smaller(made))
    if line is None:
        assert made.total_bytes <= budget
    elif "nothing known fits" in line:
        assert all(total > budget for total in totals.values())
    else:
        named = line.split("would fit: ")[1].rsplit(", ", 1)[0]
        assert totals[named] <= budget


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "at least one stage"),
        ([stage("a", 1, 1), stage("a", 1, 1)], "counts each stage once"),
    ],
)
def test_a_plan_of_nothing_or_of_twins_is_refused(stages: list[StageCost], message: str) -> None:
    with pytest.raises(TargetError, match=message):
        plan(stages, CPU)


def test_a_faulty_cost_is_refused() -> None:
    with pytest.raises(TargetError, match="precision 'int4'"):
        stage("a", 1, 1, precision="int4")
    with pytest.raises(TargetError, match="below zero"):
        stage("a", -1, 1)
    with pytest.raises(TargetError, match="'read' may name"):
        StageCost("a", "fp32", 1, 1, 1, frozenset({"wieghts"}))
    for wrong in ({"runtime_bytes": -1}, {"beside_bytes": -1}):
        with pytest.raises(TargetError, match="below zero"):
            plan(three(), CPU, **wrong)


def test_the_table_shows_every_stage_part_and_the_verdict() -> None:
    made = plan(three(), CPU, available_bytes=2048 * MIB)
    text = made.table()
    for word in (
        "encoder",
        "acoustic",
        "vocoder",
        "weights",
        "arena",
        "buffers",
        "runtime",
        "budget",
        "free now",
    ):
        assert word in text
    assert re.search(r"total +\d+\.\d MiB +fits", text)
    assert not any(line.endswith(" ") for line in text.splitlines())
    assert "does not fit" in plan(three(50), CPU).table()


def bars(made: Plan, width: int) -> dict[str, str]:
    return {line.split()[0]: line.split("MiB  ", 1)[1] for line in made.chart(width).splitlines()[:-1]}


def test_the_chart_is_to_scale_and_marks_what_is_over() -> None:
    made = plan([stage("vocoder", 50, 25)], with_budget(100), runtime_bytes=25 * MIB)
    drawn = bars(made, 40)
    assert drawn["weights"] == "#" * 20 + " " * 20 + "|"
    assert drawn["arena"] == "#" * 10 + " " * 30 + "|"
    assert drawn["total"] == "#" * 40 + "|"
    over = bars(plan([stage("vocoder", 150, 25)], with_budget(100), runtime_bytes=25 * MIB), 40)
    assert over["total"] == "#" * 20 + "|" + "!" * 20
    assert over["weights"] == "#" * 20 + "|" + "!" * 10


def test_a_plan_goes_to_json_and_says_the_same() -> None:
    made = plan(three(50), CPU, available_bytes=5 * MIB)
    back = json.loads(json.dumps(made.to_dict()))
    assert back["total_bytes"] == made.total_bytes == sum(row["bytes"] for row in back["rows"])
    assert back["fits"] is False
    assert back["refusal"] == made.refusal()
    assert [s["name"] for s in back["stages"]] == ["encoder", "acoustic", "vocoder"]
    assert back["limit_bytes"] == 5 * MIB


def test_the_measured_cpu_overhead_is_near_the_recorded_one() -> None:
    read = overhead.measure()
    assert read.mark == "reading"
    # Other versions and C libraries differ; a slip of units (kB for bytes) does not pass.
    assert overhead.CPU.bytes / 4 < read.bytes < overhead.CPU.bytes * 4


def test_the_public_name_plan_is_the_function() -> None:
    assert targets.plan is plan


def test_the_chunk_length_that_would_fit_is_named_as_a_recipe_has_it() -> None:
    narrow = [dataclasses.replace(stage, precision="int8") for stage in three()]
    line = str(plan(narrow, with_budget(187), runtime_bytes=50 * MIB, chunk_frames=96).refusal())
    assert "half the chunk length ([chunks] long = 48 in the recipe)" in line


def mixed() -> list[StageCost]:
    """The encoder by ONNX Runtime, the others by TensorRT."""
    engines = {"encoder": "onnxruntime", "acoustic": "tensorrt", "vocoder": "tensorrt"}
    return [dataclasses.replace(s, engine=engines[s.name], arena_bytes=100 * MIB) for s in three()]


def test_advice_counts_an_arena_for_each_engine() -> None:
    made = plan(mixed(), with_budget(140, NANO), runtime_bytes=0)
    assert made.total_bytes == (52 + 200 + 6) * MIB
    totals = dict(advice.smaller(made))
    # FP16: weights 25 + 10 + 3.5, arenas 100 (ONNX Runtime has no FP16 file) and 8 + 46, buffers 6.
    assert totals["FP16 (estimate)"] == int(198.5 * MIB)
    # Half the chunks: weights 52, arenas 100 and 8 + 46, buffers 6.
    assert totals["half the chunk length (estimate)"] == 212 * MIB
    # INT8 and that: weights 18.7, arenas 67 and 8 + 23, buffers 6; INT8 alone takes 145.7.
    assert str(made.refusal()).endswith("would fit: INT8 and half the chunk length (estimate), 122.7 MiB")


def test_half_precision_is_not_offered_where_only_onnx_runtime_could_take_it() -> None:
    stages = [dataclasses.replace(s, precision="int8" if s.engine == "tensorrt" else "fp32") for s in mixed()]
    labels = [label for label, _ in advice.smaller(plan(stages, NANO, runtime_bytes=0))]
    assert not any("FP16" in label for label in labels)
    assert "INT8 (estimate)" in labels


def test_what_was_read_beside_an_estimate_is_added_to_it() -> None:
    made = plan(three(), NANO, beside_bytes=77)
    assert made.row("runtime").bytes == overhead.JETSON.bytes + 77
    assert made.row("runtime").mark == "estimate"
