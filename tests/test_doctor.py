"""What `doctor` says of a machine's board."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgevoice import doctor
from targets import board, host
from targets.board.sensors import Temperature

BOARD = {"clocks", "temperature", "throttling", "power mode"}


def said(monkeypatch: pytest.MonkeyPatch, state: board.Board, **machine: object) -> dict[str, str]:
    monkeypatch.setattr(board, "read", lambda **_: state)
    here = replace(host.read(), board=None, l4t=None, cards=())
    return {check.name: check.state for check in doctor._board(replace(here, **machine))}  # type: ignore[arg-type]


def test_a_plain_pc_has_no_lines_of_a_board_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, board.Board()) == {}
    warm = board.Board(temperatures=(Temperature("package", 50.0),), limits=("heat",))
    assert said(monkeypatch, warm) == {"temperature": "ok", "throttling": "absent"}


def test_of_a_board_what_is_unknown_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(monkeypatch, board.Board(), l4t="36.4") == dict.fromkeys(BOARD, "absent")
    assert said(monkeypatch, board.Board(), cards=("RTX",)) == dict.fromkeys(BOARD - {"power mode"}, "absent")
