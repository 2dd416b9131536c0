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
    **{name: f"The same in {sound}s" for name, sound in FIGURES.items()},
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
    failed = manifest.failed_gate
    mark = ("bad", "failed the quality gate") if failed else ("good", "passed the quality gate")
    listed = "".join(f"<li>{escape(reason)}</li>" for reason in failed)
    reasons = f"<ul>{listed}</ul>" if failed else ""
    unknown = "; ".join(NAMES.get(name, name) for name in manifest.not_judged)
    against = " against FP32, where nothing else is said" if manifest.against_teacher else ""
    unjudged = f'<p class="soft">Not judged{against}: {escape(unknown)}.</p>' if unknown else ""
    sentence = (
        f"{voice.language}, {voice.sample_rate:,} Hz, for {manifest.provenance.target}, "
        f"recipe {manifest.provenance.recipe}"
    )
    tiles = "".join(f'<div class="tile"><small>{n}</small><b>{v}</b><small>{w}</small></div>' for n, v, w in
                    _tiles(manifest, plan))  # fmt: skip
    return (
        f'<h1>{escape(voice.name)}</h1><p class="soft">{escape(sentence)}</p>'
        f'<p><span class="verdict {mark[0]}">{mark[1]}</span></p>{reasons}{unjudged}'
        f'<div class="tiles">{tiles}</div>'
    )


def _tiles(manifest: Manifest, plan: Plan | None) -> Iterable[tuple[str, str, str]]:
    """All of one configuration, the one that the quality is judged with."""
    smallest = [manifest.stages[name].variants[-1] for name in STAGES]
    size = sum(variant.bytes for variant in smallest)
    files = ", ".join(dict.fromkeys(variant.precision.upper() for variant in smallest))
    whole = [plain(manifest.stages[name]) for name in STAGES]
    if all(whole):
        before = sum(variant.bytes for variant in whole if variant)
        yield f"Size of the stages, {files}", f"{size / MIB:.1f} MiB", f"FP32 {before / MIB:.1f} MiB"
        spent = [variant.milliseconds for variant in smallest]
        single = [variant.milliseconds for variant in whole if variant]
        if None not in spent and None not in single:
            now, then = sum(filter(None, spent)), sum(filter(None, single))
            yield (
                "Faster than FP32",
                f"{then / max(now, 1e-9):.2f} times",
                f"{now:.0f} ms a second of sound, one thread",
            )
    figure = manifest.quality.get("log_mel_l1")
    if figure:
        interval = f"{figure.low:.3f} to {figure.high:.3f}, n={figure.n}"
        yield f"Log-mel distance, {files}", f"{figure.mean:.3f}", interval
    if plan:
        limit = plan.budget_bytes / MIB
        held = ", ".join(dict.fromkeys(stage.precision.upper() for stage in plan.stages))
        yield (
            f"Memory, {held}",
            f"{plan.total_bytes / MIB:.0f} MiB",
            f"of {limit:,.0f} MiB on {escape(plan.target.id)}",
        )


def plain(stage: Stage) -> Variant | None:
    return next((variant for variant in stage.measured if variant.precision == "fp32"), None)


def listening(samples: Samples | None) -> str:
    if samples is None or not samples.texts:
        return section("Listen", "<p>No samples are kept beside this bundle.</p>")
    rows = "".join(_sentence(samples, number) for number in range(len(samples.texts)))
    note = (
        "The same sentences at the same noise. Below each player its spectrogram: time to the right, "
        f"0 to {samples.rate / 2000:g} kHz upwards on the mel scale. Below that what changed against the "
        "first version: red is louder, blue is quieter, white is equal."
    )
    return section("Listen", f"<p>{note}</p>{_scales()}{rows}")


def _scales() -> str:
    """What the pictures' colours stand for."""
    low, high = pictures.RANGE
    level = _scale("Level", pictures.LEVELS, _signed(low), f"{_signed(high)} nepers")
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


def quality(manifest: Manifest) -> str:
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
    return section(
        "Quality of the whole voice",
        f"<p>{escape(note)}</p>{_measures(manifest.quality)}{words.meanings(manifest.quality, NAMES)}",
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
    rows = "".join(
        f"<tr><td>{escape(NAMES.get(name, name))}</td><td>{f.mean:.3f}</td>"
        f"<td>{f.low:.3f} to {f.high:.3f}</td><td>{f.n}</td></tr>"
        for name, f in figures.items()
    )
    top = "<tr><th>Measure</th><th>Mean</th><th>95% interval</th><th>n</th></tr>"
    return f'<div class="scroll"><table>{top}{rows}</table></div>'


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
