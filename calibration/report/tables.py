"""The report's table of stages: every file that was measured, and why one was chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from calibration.report.sections import MIB, section
from edgevoice.manifest import STAGES, Manifest, Variant


@dataclass(frozen=True)
class _Column:
    """``word``: read from the left. ``lacking``: what the note says where no row has an entry. ``wide``: not
    on a phone.
    """

    head: str
    cell: Callable[[Variant], str]
    word: bool = False
    lacking: str = ""
    wide: bool = False


def _figure(name: str, form: str) -> Callable[[Variant], str]:
    return lambda variant: format(variant.quality[name].mean, form) if name in variant.quality else ""


def _operators(variant: Variant) -> str:
    counted = ", ".join(f"{count} {kind}" for kind, count in variant.int8_operators.items())
    # Of a file for TensorRT the layers are counted that Q/DQ feeds: its builder decides, on the device.
    return f"asked for: {counted}" if counted and variant.engine == "tensorrt" else counted


COLUMNS = (
    _Column("Precision", lambda variant: variant.precision.upper(), word=True),
    _Column("Engine", lambda variant: variant.engine, word=True),
    _Column("MiB", lambda variant: f"{variant.bytes / MIB:.1f}"),
    _Column("ms per s", lambda v: "not measured" if v.milliseconds is None else f"{v.milliseconds:.1f}"),
    _Column("Log-mel", _figure("log_mel_l1", ".3f")),
    _Column("DNSMOS", _figure("dnsmos_overall", "+.2f"), lacking="DNSMOS"),
    _Column("Speaker", _figure("speaker_cosine", ".3f"), lacking="Speaker similarity"),
    _Column(
        "INT8 operators",
        _operators,
        wide=True,
    ),
)


def stages(manifest: Manifest) -> str:
    rows = [(name, variant) for name in STAGES for variant in manifest.stages[name].measured]
    filled = [column for column in COLUMNS if any(column.cell(variant) for _, variant in rows)]
    note = (
        "Bold is chosen for ONNX Runtime. Milliseconds of CPU time for a second of sound, one thread, on the "
        "machine below. Quality is against FP32 with that one stage replaced; a log-mel of 0 is equal."
    )
    if empty := [column.lacking for column in COLUMNS if column.lacking and column not in filled]:
        were = "were" if len(empty) > 1 else "was"
        names = " and ".join(empty)
        note += f" {names} {were} not measured: the recipe's [judge] measures did not ask for it."
    heads = "".join(f"<th{_class(column)}>{escape(column.head)}</th>" for column in filled)
    chosen = {stage.chosen for stage in manifest.stages.values()}
    lines = "".join(_row(name, variant, filled, variant.file in chosen) for name, variant in rows)
    reasons = "".join(f"<li><b>{name}</b>: {escape(manifest.stages[name].reason)}</li>" for name in STAGES)
    table = f'<div class="scroll"><table><tr><th class="word">Stage</th>{heads}</tr>{lines}</table></div>'
    return section("Stages", f"<p>{note}</p>{table}<p></p><ul>{reasons}</ul>")


def _row(name: str, variant: Variant, columns: Sequence[_Column], chosen: bool) -> str:
    cells = [(column, escape(column.cell(variant))) for column in columns]
    inner = "".join(f"<td{_class(column)}>{text}</td>" for column, text in cells)
    mark = " ✓" if chosen else ""
    return f'<tr{" class=chosen" if chosen else ""}><td class="word">{name}{mark}</td>{inner}</tr>'


def _class(column: _Column) -> str:
    names = [name for name in ("word", "wide") if getattr(column, name)]
    return f' class="{" ".join(names)}"' if names else ""
