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
