"""The cards of the voices say what their manifests say."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.card import card, main
from edgevoice import bundle
from edgevoice.runtime.find import find

ROOT = Path(__file__).parents[2]
CARDS = {"voices/joe": "voices/README.md", "kokoro": "edgevoice/voices/README.md"}


@pytest.mark.parametrize("voice", CARDS)
def test_every_line_of_figures_stands_in_the_card(voice: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    said = (ROOT / CARDS[voice]).read_text("utf-8").splitlines()
    lines = list(filter(None, card(bundle.read(find(voice)).manifest)))
    assert len(lines) > 12
    assert not [line for line in lines if line not in said]


@pytest.mark.parametrize("wrong", ["/no/such/bundle", "a voice that is no student"])
def test_what_has_no_card_is_one_line(
    wrong: str, tiny_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([wrong if wrong.startswith("/") else str(tiny_bundle)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
