"""Every verb explains itself: help is markup, in which a bracket is a mistake or swallows words."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from edgevoice.cli import app

for verb in entry_points(group="edgevoice.verbs"):
    verb.load()(app)

COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009 - only groups have it


def words(name: str) -> list[str]:
    """What a verb and its parameters say of themselves."""
    return [COMMANDS[name].help, *(getattr(option, "help", None) or "" for option in COMMANDS[name].params)]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_verb_explains_itself(name: str) -> None:
    done = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.exception
    assert "Usage:" in done.output
    assert not [text for text in words(name) if re.search(r"\[[a-z/@#]", text, re.IGNORECASE)]
