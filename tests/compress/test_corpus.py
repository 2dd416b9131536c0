"""The sentences of a run: enough of them, or none."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from compress import corpus, teachers
from compress.draft import Draft, prepare
from compress.recipe import Judge, load
from compress.workspace import Workspace
from edgevoice.errors import EdgevoiceError


@pytest.fixture(scope="module")
def draft(tiny_voice: Path, tmp_path_factory: pytest.TempPathFactory) -> Draft:
    return prepare(teachers.read(tiny_voice), load("split"), Workspace(tmp_path_factory.mktemp("work")))


@pytest.mark.parametrize(("lines", "enough"), [(8, False), (9, True), (40, True)])
def test_a_file_is_refused_that_holds_fewer_than_are_judged_on(
    draft: Draft, tmp_path: Path, lines: int, enough: bool
) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("".join(f"This is sentence {number}.\n" for number in range(lines)) * 2)
    recipe = msgspec.structs.replace(load("split"), judge=Judge(sentences=3))
    if enough:
        assert len(corpus.choose(draft, recipe, file).judging) == 3
        return
    with pytest.raises(EdgevoiceError, match=r"mine.txt holds too few .* give at least 12 different ones"):
        corpus.choose(draft, recipe, file)


def test_a_student_is_not_judged_on_fewer_than_its_recipe_says(draft: Draft, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("".join(f"This is sentence {number}.\n" for number in range(60)))
    with pytest.raises(EdgevoiceError, match=r"judges on 50, .* at least 200 different"):
        corpus.choose(draft, load("distill-small"), file)


def test_more_than_there_are_of_our_own_are_not_promised(draft: Draft) -> None:
    recipe = msgspec.structs.replace(load("split"), judge=Judge(sentences=5000))
    with pytest.raises(EdgevoiceError, match=r"judges on 5000 sentences, and edgevoice has .* --texts"):
        corpus.choose(draft, recipe, None)


ENGLISH = (
    "the morning train to the harbour leaves at half past six from platform two",
    "she keeps a jar of pickled plums on the shelf above the kitchen window",
    "nobody in the village could explain why the old clock had stopped again",
    "we measured the length of the garden twice and got two different answers",
    "please bring your own lunch, because the shop will be closed on thursday",
    "his younger brother joined the choir, although he could hardly read music",
    "those yellow boots are perfect for a muddy walk along the river",
    "a thin layer of ice covered the pond, and the ducks looked rather puzzled",
    "the judge asked a short question, and the whole room went quiet",
    "if the weather is good tomorrow, they will finish painting the fence",
    "her voice was so low that we had to lean over the table to hear it",
    "there is usually fresh bread at the corner before eight in the morning",
)
GERMAN = (
    "der kleine junge gab keine klare antwort, und niemand hat noch einmal gefragt",
    "heute morgen habe ich lange im garten gearbeitet und unkraut gezupft",
    "die straße ist wegen bauarbeiten bis ende der woche vollständig gesperrt",
    "können sie mir bitte sagen, wie spät es ist und wo der bahnhof liegt",
    "wir fahren am wochenende mit dem zug nach münchen und bleiben drei tage",
    "das wetter wird morgen wieder schlechter, sagt der bericht im fernsehen",
    "sie hat ihre schlüssel zu hause vergessen und wartet jetzt vor der tür",
    "der zug hatte leider zwanzig minuten verspätung, wie schon gestern",
    "ich möchte ein zimmer für zwei nächte buchen, möglichst mit frühstück",
    "die kinder spielen draußen im schnee und kommen erst zum essen herein",
    "er hat gestern ein neues fahrrad gekauft, das ihm viel zu groß ist",
    "zwischen den häusern wächst ein alter baum, der im herbst rot wird",
)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (ENGLISH, ""),
        (GERMAN, "another language"),
        (ENGLISH[:1] * 40, "too few sentences"),
        (tuple("." * number for number in range(1, 40)), "at least 8 different"),
    ],
    ids=["fit", "another language", "one sentence", "silence"],
)
def test_calibration_on_unfit_text_is_refused(
    draft: Draft, tmp_path: Path, lines: tuple[str, ...], told: str
) -> None:
    """The text as a user gives it, through the front end, before anything is made of it."""
    file = tmp_path / "mine.txt"
    file.write_text("\n".join(lines))
    recipe = msgspec.structs.replace(load("quantize"), judge=Judge(sentences=3))
    if not told:
        assert corpus.choose(draft, recipe, file).record is not None
        return
    with pytest.raises(EdgevoiceError, match=told):
        corpus.choose(draft, recipe, file)
