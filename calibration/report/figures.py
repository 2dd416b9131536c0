"""The report's sections that are drawn: speed, sensitivity, memory, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from calibration.report import charts
from calibration.report.charts import Bar, Point
from calibration.report.sections import MIB, plain, section
from calibration.samples import Samples
from edgevoice.manifest import STAGES, Manifest, Variant
from targets import Plan


def speed(manifest: Manifest) -> str:
    points = [Point(1.0, 0.0, "FP32", "none")]
    for name in STAGES:
        for variant in manifest.stages[name].measured:
            single = plain(manifest.stages[name])
            figure = variant.quality.get("log_mel_l1")
            if variant is single or single is None or not single.milliseconds or not variant.milliseconds:
                continue
            loss = figure.mean if figure else 0.0
            kind = "main" if variant.file == manifest.stages[name].chosen else "none"
            points.append(
                Point(single.milliseconds / variant.milliseconds, loss, f"{name} {variant.precision}", kind)
            )
    if len(points) == 1:
        return section("Quality and speed", "<p>Nothing but FP32 was timed here.</p>")
    chart = charts.scatter(points, "Quality against speed", "times as fast as its FP32", "log-mel distance")
    note = "Each stage's files: farther right is faster, lower is closer to FP32. Blue is chosen."
    return section("Quality and speed", f"<p>{note}</p>{chart}")


def sensitivity(manifest: Manifest, samples: Samples | None) -> str:
    found = dict(samples.sensitivity) if samples else {}
    drawn = [_searched(file, _fate(manifest, file), result) for file, result in found.items()]
    told: list[str] = []
    for name in STAGES:
        for variant in manifest.stages[name].measured:
            if variant.file not in found and any(loss is not None for loss in variant.left_out.values()):
                drawn.append(_left(manifest, variant))
            told += _not_drawn(variant)
    if not drawn:
        none = "No layer was left out of INT8 for what it costs."
        return section("Sensitivity", f"<p>{none}</p>" + "".join(told))
    note = (
        "Each layer alone in INT8: the distance it brings, least for its work first. Blue went to INT8, "
        "orange stayed in floating point."
    )
    return section("Sensitivity", f"<p>{note}</p>" + "".join([*drawn, *told]))


def _fate(manifest: Manifest, file: str) -> str:
    """The file, and whether it is the one that is heard or was only measured."""
    stages = [manifest.stages[name] for name in STAGES]
    if file in (variant.file for stage in stages for variant in stage.variants):
        return f"{file}, travels"
    tried = file in (variant.file for stage in stages for variant in stage.tried)
    return f"{file}, tried and left behind" if tried else file


def _searched(file: str, title: str, found: Mapping[str, Any]) -> str:
    chosen = set(found["chosen"])
    rows = [
        Bar(
            row["group"]["name"],
            row["loss"],
            f"{row['loss']:.3f}, {row['group']['share']:.0%} of the work",
            _kind(row["group"]["name"] in chosen),
        )
        for row in found["ranking"]
        if row["loss"] is not None
    ]
    points = [Point(100 * share, loss, "", "none") for share, loss in found["curve"]]
    points.append(Point(100 * found["share"], found["loss"], "chosen", "main"))
    bars = charts.bars(rows, f"Sensitivity of {file}")
    curve = charts.scatter(
        points,
        f"Sets tried in {file}",
        "% of multiplications in INT8",
        "log-mel distance",
        found["limit"],
        True,
    )
    told = (
        f"{len(chosen)} of {len(found['ranking'])} layers or groups, {found['share']:.0%} of the "
        f"multiplications, together {found['loss']:.3f}. Grey: every set that was tried."
    )
    if not found["complete"]:
        told += " The search ran out of time before all sets were tried."
    return (
        f'<h3>{escape(title)}</h3><div class="columns"><div>{bars}</div><div>{curve}<p>{told}</p></div></div>'
    )


def _left(manifest: Manifest, variant: Variant) -> str:
    rows = [
        Bar(name, loss, f"{loss:.3f}", "left")
        for name, loss in sorted(variant.left_out.items(), key=lambda item: -(item[1] or 0.0))
        if loss is not None
    ]
    title = f"{_fate(manifest, variant.file)}: left in floating point"
    return f"<h3>{escape(title)}</h3>{charts.bars(rows, f'Left out of {variant.file}')}"


def _not_drawn(variant: Variant) -> list[str]:
    """Layers in floating point that have no figure, and why."""
    purpose = [name for name, loss in variant.left_out.items() if loss is None]
    told = {
        "on purpose, because they make durations, which the ear does not compare here, or because what goes "
        "through them never changed in calibration": purpose,
        "because the search ran out of time before it tried them": variant.unmeasured,
    }
    return [
        f"<details><summary>{len(names)} layers or groups of {escape(variant.file)} stayed in floating point "
        f"{why}</summary><p>{escape(', '.join(names))}</p></details>"
        for why, names in told.items()
        if names
    ]


def _kind(chosen: bool) -> str:
    return "main" if chosen else "left"


def memory(plan: Plan | None) -> str:
    if plan is None:
        return ""
    kinds = ("main", "left", "third", "fourth")
    rows = [
        Bar(f"{row.name} ({row.mark})", row.bytes, f"{row.bytes / MIB:.1f} MiB", kind)
        for row, kind in zip(plan.rows, kinds, strict=False)
    ]
    label = f"budget {plan.limit_bytes / MIB:,.0f} MiB"
    chart = charts.stacked(rows, plan.total_bytes, plan.limit_bytes, "Memory plan", label)
    detail = _stage_costs(plan)
    note = (
        f"{plan.total_bytes / MIB:.1f} MiB on {escape(plan.target.id)}; one arena serves all stages in turn."
    )
    return section("Memory", f'<p>{note}</p><div class="columns"><div>{chart}</div><div>{detail}</div></div>')


def _stage_costs(plan: Plan) -> str:
    rows = [
        Bar(
            f"{stage.name} {stage.precision}: weights",
            stage.weights_bytes / MIB,
            f"{stage.weights_bytes / MIB:.1f} MiB",
        )
        for stage in plan.stages
    ]
    rows += [
        Bar(
            f"{stage.name}: working memory",
            stage.arena_bytes / MIB,
            f"{stage.arena_bytes / MIB:.1f} MiB",
            "left",
        )
        for stage in plan.stages
        if stage.arena_bytes
    ]
    return charts.bars(rows, "Memory by stage")


def calibration(manifest: Manifest) -> str:
    record = manifest.calibration
    if record is None:
        return section("Calibration", "<p>Nothing was calibrated: no stage is in INT8.</p>")
    shares = [
        Bar(f"{name} of the source text", share, f"{share:.0%}")
        for name, share in record.coverage.items()
        if name != "surprise"
    ]
    surprise = record.coverage.get("surprise")
    note = f"{record.sentences} sentences chosen for coverage, ranges by {record.method}."
    if surprise is not None:
        note += f" Their sounds follow each other as in the source text (surprise {surprise:+.2f} nats)."
    body = charts.bars(shares, "Coverage of the calibration sentences", full=1.0) if shares else ""
    return section(
        "Calibration",
        f"<p>{escape(note)}</p>{body}<p></p>"
        f"<small>SHA-256 of the sentences <code>{escape(record.sha256)}</code></small>",
    )
