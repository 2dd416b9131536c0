"""The report's sections, each from the manifest, the plan or the samples; one without matter says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from calibration.measures.classes import FIGURES
from calibration.report import pictures, words
from calibration.samples import TITLES, Samples
from edgevoice.bundle import Bundle
from edgevoice.manifest import STAGES, Manifest, Measure, Stage, Variant
from targets import Plan

MIB = 1 << 20
NAMES = {
    "log_mel_l1": "Log-mel distance, nepers",
    **{name: f"Log-mel distance in {sound}s" for name, sound in FIGURES.items()},
    "stft_distance": "Multi-resolution STFT distance",
    "dnsmos_overall": "DNSMOS overall, change",
    "dnsmos_signal": "DNSMOS signal, change",
    "dnsmos_background": "DNSMOS background, change",
    "dnsmos_p808": "DNSMOS P.808, change",
    "speaker_cosine": "Speaker similarity, cosine",
    "wer": "Word error rate, change",
    "wer_reference": "Word error rate of the reference",
    "f0_cents": "Pitch error, cents",
    "duration_frames": "Duration of a phoneme, error in frames",
    "duration_total": "Length by its own durations, change as a share",
    "duration_sentence": "Length by its own durations, size of a sentence's change as a share",
    "voicing_error": "Frames whose voicing changes, share",
    "stoi": "STOI",
    "pesq": "PESQ",
}
FEW = 20


def head(bundle: Bundle, plan: Plan | None) -> str:
    manifest = bundle.manifest
    voice = manifest.voice
    unknown = "; ".join(NAMES.get(name, name) for name in manifest.not_judged)
    against = " against FP32, where nothing else is said" if manifest.against_teacher else ""
    unjudged = f'<p class="soft">Not judged{against}: {escape(unknown)}.</p>' if unknown else ""
    students = "student of " if manifest.against_teacher else ""
    sentence = (
        f"{voice.language}, {voice.sample_rate:,} Hz, for {manifest.provenance.target}, "
        f"recipe {manifest.provenance.recipe}"
    )
    tiles = "".join(f'<div class="tile"><small>{n}</small><b>{v}</b><small>{w}</small></div>' for n, v, w in
                    _tiles(manifest, plan))  # fmt: skip
    return (
        f'<h1><small>{students}</small>{escape(voice.name)}</h1><p class="soft">{escape(sentence)}</p>'
        f'{_verdict(manifest)}{unjudged}<div class="tiles">{tiles}</div>'
    )


def _verdict(manifest: Manifest) -> str:
    """What the gate said, and which of its limits these sentences do not decide."""
    lines = list(manifest.failed_gate)
    kind, told = ("bad", "failed the quality gate") if lines else ("good", "passed the quality gate")
    if not lines and (undecided := list(_undecided(manifest))):
        kind, told, lines = "open", "passed the quality gate, not decided everywhere", undecided
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    reasons = f"<ul>{listed}</ul>" if lines else ""
    return f'<p><span class="verdict {kind}">{told}</span></p>{reasons}'


def _undecided(manifest: Manifest) -> Iterable[str]:
    found = manifest.against_teacher
    for figures in (manifest.quality, found.shipped if found else {}):
        for name, figure in figures.items():
            if figure.standing == "open":
                what = f"{NAMES.get(name, name)} against {figure.against}: {_interval(figure)}"
                yield f"{what}; {figure.asked} is asked, and {figure.n} sentences do not decide it"


def _interval(figure: Measure) -> str:
    return f"{figure.mean:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _tiles(manifest: Manifest, plan: Plan | None) -> Iterable[tuple[str, str, str]]:
    """All of one configuration, the one that the quality is judged with."""
    smallest = [manifest.stages[name].variants[-1] for name in STAGES]
    whole = [variant for name in STAGES if (variant := plain(manifest.stages[name]))]
    files = ", ".join(dict.fromkeys(variant.precision.upper() for variant in smallest))
    if len(whole) == len(STAGES):
        before, after = (sum(variant.bytes for variant in rows) / MIB for rows in (whole, smallest))
        yield f"Size of the stages, {files}", f"{after:.1f} MiB", f"FP32 {before:.1f} MiB"
        yield from _faster(manifest, whole, smallest)
    found = manifest.against_teacher
    judged, against = (found.shipped, "the teacher") if found else (manifest.quality, "FP32")
    if figure := judged.get("log_mel_l1"):
        interval = f"{figure.low:.3f} to {figure.high:.3f}, n={figure.n}"
        yield f"Log-mel distance to {against}, {files}", f"{figure.mean:.3f}", interval
    if plan:
        held = ", ".join(dict.fromkeys(stage.precision.upper() for stage in plan.stages))
        limit = f"of {plan.budget_bytes / MIB:,.0f} MiB on {escape(plan.target.id)}"
        yield f"Memory, {held}", f"{plan.total_bytes / MIB:.0f} MiB", limit


def _faster(
    manifest: Manifest, whole: Sequence[Variant], smallest: Sequence[Variant]
) -> Iterable[tuple[str, str, str]]:
    """Than the teacher in chunks, for a student; else than FP32 in whole sentences."""
    if found := manifest.against_teacher:
        spent, times = found.speed["student"].mean, found.speed["teacher_by_student"].mean
        told = f"{1000 * spent:.0f} ms a second of sound in chunks, one thread"
        yield "Faster than its teacher", f"{times:.1f} times", told
        return
    then, now = _milliseconds(whole), _milliseconds(smallest)
    if then is not None and now is not None:
        told = f"{now:.0f} ms a second of sound in whole sentences, one thread"
        yield "Faster than FP32", f"{then / max(now, 1e-9):.2f} times", told


def _milliseconds(variants: Sequence[Variant]) -> float | None:
    spent = [variant.milliseconds for variant in variants if variant.milliseconds is not None]
    return sum(spent) if len(spent) == len(variants) else None


def plain(stage: Stage) -> Variant | None:
    return next((variant for variant in stage.measured if variant.precision == "fp32"), None)


def listening(samples: Samples | None) -> str:
    if samples is None or not samples.texts:
        return section("Listen", "<p>No samples are kept beside this bundle.</p>")
    rows = "".join(_sentence(samples, number) for number in range(len(samples.texts)))
    several = len(samples.sounds) > 1
    note = (
        "Below each player its spectrogram: time to the right, "
        f"0 to {samples.rate / 2000:g} kHz upwards on the mel scale."
    )
    if several:
        note = (
            f"The same sentences at the same noise. {note} Below that what changed against the first "
            "version: red is louder, blue is quieter, white is equal."
        )
    return section("Listen", f"<p>{note}</p>{_scales(several)}{rows}")


def _scales(several: bool) -> str:
    """What the pictures' colours stand for."""
    low, high = pictures.RANGE
    level = _scale("Level", pictures.LEVELS, _signed(low), f"{_signed(high)} nepers")
    if not several:
        return f'<p class="soft">{level}</p>'
    ends = f"{_signed(-pictures.WORST)} or less", f"{_signed(pictures.WORST)} nepers or more"
    change = _scale("Change", pictures.SIGNED, *ends)
    return f'<p class="soft">{level}{change}</p>'


def _signed(value: float) -> str:
    return f"{value:+g}".replace("-", "−")


def _scale(name: str, colours: pictures.Colours, low: str, high: str) -> str:
    stops = ", ".join(f"rgb{colour} {100 * place:g}%" for place, colour in colours)
    bar = f'<i style="background: linear-gradient(to right, {stops})"></i>'
    return f'<span class="scale">{name} {low} {bar} {high}</span>'


def _sentence(samples: Samples, number: int) -> str:
    reference = next(iter(samples.sounds.values()))[number]
    parts = []
    for index, (version, sounds) in enumerate(samples.sounds.items()):
        sound = sounds[number]
        title = TITLES.get(version, version)
        picture = (
            f'<img alt="Spectrogram: {escape(title)}" src="{pictures.spectrogram(sound, samples.rate)}">'
        )
        parts.append(
            f"<figure><figcaption>{escape(title)}, {len(sound) / samples.rate:.1f} s</figcaption>"
            f'<audio controls preload="none" src="{pictures.audio(sound, samples.rate)}"></audio>{picture}'
            f"{_change(reference, sound, samples.rate, title) if index else ''}</figure>"
        )
    text = escape(samples.texts[number])
    return f'<div class="sentence"><p>{text}</p><div class="versions">{"".join(parts)}</div></div>'


def _change(first: Any, second: Any, rate: int, title: str) -> str:
    picture = pictures.difference(np.asarray(first), np.asarray(second), rate)
    if picture is None:
        return "<figcaption>Other durations: no difference is drawn.</figcaption>"
    return f'<figcaption>Change</figcaption><img alt="Change: {escape(title)}" src="{picture}">'


def quality(manifest: Manifest, samples: Samples | None) -> str:
    if not manifest.quality:
        return section("Quality", "<p>All stages are FP32, so nothing changed.</p>")
    count = max(figure.n for figure in manifest.quality.values())
    small = (
        f" Judged on {count} sentences: enough to catch damage, too few to rank versions that are close."
        if count < FEW
        else ""
    )
    against = next(iter(manifest.quality.values())).against or "FP32"
    note = (
        f"The voice with the smallest files that travel, against {against}, paired over sentences, with 95% "
        f"bootstrap intervals.{small}"
    )
    meanings = words.meanings(manifest.quality, NAMES, samples.seeds_apart if samples else 0.0)
    return section(
        "Quality of the whole voice", f"<p>{escape(note)}</p>{_measures(manifest.quality)}{meanings}"
    )


def student(manifest: Manifest) -> str:
    """Empty where no stage is a student."""
    found = manifest.against_teacher
    if found is None:
        return ""
    speed = found.speed["teacher_by_student"]
    note = (
        f"At the teacher's durations and noise, on sentences that neither was trained on. All stages in "
        f"chunks, with these files: {speed.mean:.1f} times as fast as the teacher's ({speed.low:.1f} to "
        f"{speed.high:.1f})."
    )
    return section(
        "The student against its teacher",
        f"<p>{escape(note)}</p><h3>With the smallest files that travel</h3>{_measures(found.shipped)}"
        f"<h3>In FP32</h3>{_measures(found.student)}",
    )


def _measures(figures: Mapping[str, Measure]) -> str:
    """The table, the classes of sounds folded below it."""
    whole = {name: figure for name, figure in figures.items() if name not in FIGURES}
    inner = {name: figure for name, figure in figures.items() if name in FIGURES}
    if not inner:
        return _measure_table(whole)
    more = f"<details><summary>By class of sound</summary>{_measure_table(inner)}</details>"
    return _measure_table(whole) + more


def _measure_table(figures: Mapping[str, Measure]) -> str:
    order = list(NAMES)
    rows = "".join(
        f"<tr><td>{escape(NAMES.get(name, name))}</td><td>{f.mean:.3f}</td>"
        f"<td>{f.low:.3f} to {f.high:.3f}</td><td>{f.n}</td>"
        f'<td class="word">{escape(f.asked)}{_mark(f)}</td></tr>'
        for name, f in sorted(figures.items(), key=lambda row: order.index(row[0]) if row[0] in NAMES else 99)
    )
    top = '<tr><th>Measure</th><th>Mean</th><th>95% interval</th><th>n</th><th class="word">Asked</th></tr>'
    return f'<div class="scroll"><table>{top}{rows}</table></div>'


def _mark(figure: Measure) -> str:
    return f': <b class="{figure.standing}">{figure.standing}</b>' if figure.standing else ""


def provenance(bundle: Bundle, samples: Samples | None) -> str:
    made = bundle.manifest.provenance
    licence = bundle.manifest.voice.licence
    rows: list[tuple[str, str]] = [
        ("Bundle", bundle.id),
        ("Teacher", made.teacher),
        ("Recipe", f"{made.recipe}, {made.recipe_sha256}"),
        ("Made on", made.host),
        ("Versions", ", ".join(f"{name} {number}" for name, number in made.versions.items())),
        ("Licence of the voice", licence.name),
        *(("Note", note) for note in made.notes),
    ]
    if samples and samples.command:
        rows.append(("Command", samples.command))
    terms = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    if licence.lineage:
        terms += f"<dt>What its own files say</dt><dd>{words.card(licence.lineage)}</dd>"
    listed: Sequence[str] = [
        f"<dt>{escape(name)}</dt><dd><code>{record.sha256}</code> {record.bytes:,} bytes</dd>"
        for name, record in bundle.manifest.files.items()
    ]
    more = f"<details><summary>Files and their SHA-256</summary><dl>{''.join(listed)}</dl></details>"
    return section("Provenance", f"<dl>{terms}</dl><p></p>{more}")


def section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"
