"""python benchmarks/card.py BUNDLE: the figures of a student's card, as Markdown, out of its manifest."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from edgevoice import bundle
from edgevoice.errors import EdgevoiceError
from edgevoice.manifest import STAGES, AgainstTeacher, Manifest, Measure, Stage
from edgevoice.runtime.find import find

ROWS = {
    "log_mel_l1": "log-mel L1",
    "dnsmos_overall": "DNSMOS overall, change",
    "dnsmos_p808": "DNSMOS P.808, change",
    "speaker_cosine": "d-vector cosine",
    "wer": "word error rate, change",
    "wer_reference": "word error rate of the teacher",
    "duration_total": "length by its own durations, change as a share",
    "duration_sentence": "the same, size of a sentence's change",
}
SIGNED = ("dnsmos_overall", "dnsmos_p808", "wer", "duration_total")


def card(made: Manifest) -> Iterator[str]:
    """Lines of Markdown. Raises `EdgevoiceError` for a voice that is no student."""
    found = made.against_teacher
    if found is None:
        raise EdgevoiceError(f"{made.voice.name} is no student, so it has no card: name a student's bundle")
    files = sum(made.files[made.stages[stage].chosen].bytes for stage in STAGES)
    yield "| | |"
    yield "| --- | --- |"
    for stage in STAGES:
        row = made.stages[stage]
        what = f"{row.parameters / 1e6:.1f} M parameters, {row.speaks.precision.upper()}"
        yield f"| {stage} | {what}; {_trained(row)} |"
    yield f"| files of all stages | {files / 1e6:.1f} MB |"
    speed = found.speed["teacher_by_student"]
    times = f"{_figure(speed, False, 1)}, {speed.n} sentences"
    yield f"| all stages in chunks, one thread, times as fast as the teacher's | {times} |"
    yield ""
    yield from _table(found, next(iter(found.shipped.values())).n)
    yield ""
    yield f"Fails its recipe's gate: {'; '.join(made.failed_gate) or 'nowhere'}.{_open(found)}"


def _open(found: AgainstTeacher) -> str:
    """What the gate asks that these sentences do not decide."""
    rows = [
        f"{ROWS[name].partition(',')[0]} ({figure.asked})"
        for name, figure in found.shipped.items()
        if figure.standing == "open" and name in ROWS
    ]
    return (
        f" Not decided by these sentences, for the limit lies in the interval: {'; '.join(rows)}."
        if rows
        else ""
    )


def _table(found: AgainstTeacher, count: int) -> Iterator[str]:
    yield f"| against the teacher, {count} sentences, 95 % intervals | FP32 student | as shipped |"
    yield "| --- | --- | --- |"
    for name, title in ROWS.items():
        if name in found.shipped:
            both = (_figure(side[name], name in SIGNED, 3) for side in (found.student, found.shipped))
            yield f"| {title} | {' | '.join(both)} |"


def _trained(stage: Stage) -> str:
    done = stage.trained
    if done is None:
        return "the teacher's own"
    return f"{done.steps:,} steps in {done.seconds / 3600:.1f} h on {done.label_hours:.1f} h of speech"


def _figure(measure: Measure, signed: bool, digits: int) -> str:
    form = f"{'+' if signed else ''}.{digits}f"
    return f"{measure.mean:{form}} ({measure.low:{form}} to {measure.high:{form}})"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="card.py", description="A student's figures, as Markdown.")
    parser.add_argument("bundle", help="a bundle's folder; kokoro: edgevoice's own")
    try:
        print("\n".join(card(bundle.read(find(parser.parse_args(arguments).bundle)).manifest)))
    except EdgevoiceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
