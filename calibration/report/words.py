"""Words of the report: what each measure means, and a model card without its Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from calibration.measures.classes import FIGURES

MEANINGS = {
    "log_mel_l1": "how far the levels in the ear's frequency bands lie apart on average, in nepers "
    "(1 neper is 8.7 dB)",
    **{name: f"the same over the frames of every {sound}" for name, sound in FIGURES.items()},
    "stft_distance": "how far spectra of three resolutions lie apart; 0 is equal",
    "dnsmos_overall": "the opinion score, 1 to 5, that a network trained on people's judgements gives the "
    "whole; no change is 0, worse is below",
    "dnsmos_signal": "the same network's score of the speech alone",
    "dnsmos_background": "the same network's score of what is behind the speech: hiss and crackle",
    "dnsmos_p808": "the score of a second network, trained on tests by ITU-T P.808, where many people listen "
    "over the internet",
    "speaker_cosine": "whether it is the same person: the cosine between d-vectors, numbers by which a "
    "network tells speakers apart; 1 is equal",
    "wer": "the share of words that a speech recogniser gets wrong more than before",
    "wer_reference": "the share of words that it gets wrong in the reference",
    "f0_cents": "how far the pitch is off where both have one; 100 cents are a semitone",
    "duration_frames": "by how many frames a phoneme becomes longer or shorter on average, where the voice "
    "finds its own durations",
    "duration_total": "by how much sentences become longer there on average, below 0 shorter; 0.1 is a tenth",
    "duration_sentence": "by how much a sentence becomes longer or shorter there, either counted as loss",
    "voicing_error": "the share of frames that have a pitch in one and none in the other",
    "stoi": "predicted intelligibility, 0 to 1",
    "pesq": "predicted opinion of telephone speech, 1 to 4.5",
}
_HEADING = re.compile(r"^#+\s+")
_ITEM = re.compile(r"^[*+-]\s+")
_MARKS = re.compile(r"\*\*|__|`")


def meanings(measures: Iterable[str], names: dict[str, str], seeds_apart: float = 0.0) -> str:
    """A list of what the measures mean, folded away; ``seeds_apart`` gives the log-mel distance its scale."""
    scale = f"; two noise seeds of this voice in FP32 are {seeds_apart:.3f} apart" if seeds_apart else ""
    scales = {"log_mel_l1": scale}
    rows = "".join(
        f"<dt>{escape(names.get(name, name))}</dt><dd>{escape(MEANINGS[name] + scales.get(name, ''))}</dd>"
        for name in measures
        if name in MEANINGS
    )
    return (
        f"<p></p><details><summary>What these measures mean</summary><dl>{rows}</dl></details>"
        if rows
        else ""
    )


def card(text: str) -> str:
    """A model card's Markdown as HTML: headings, items and lines, nothing else."""
    lines = []
    for line in filter(None, map(str.strip, text.splitlines())):
        plain = escape(_MARKS.sub("", _ITEM.sub("• ", _HEADING.sub("", line))))
        lines.append(f"<b>{plain}</b>" if _HEADING.match(line) else plain)
    return "<br>".join(lines)
