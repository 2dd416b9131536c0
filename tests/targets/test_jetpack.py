"""JetPack releases: the table, and which release a number belongs to."""

from __future__ import annotations

import pytest

from targets import jetpack
from targets.errors import TargetError


def test_exactly_6_1_and_newer_are_accepted() -> None:
    accepted = {row.version for row in jetpack.releases() if row.refusal() is None}
    assert accepted == {"6.1", "6.2", "6.2.1", "6.2.2", "7.0", "7.1", "7.2", "7.2.2"}


def test_the_table_is_ordered_and_every_row_has_a_source() -> None:
    rows = jetpack.releases()
    keys = [jetpack.version_key(row.l4t) for row in rows if row.l4t]
    assert keys == sorted(keys)
    assert all(row.source and row.boards for row in rows)


@pytest.mark.parametrize(
    ("l4t", "version", "exact"),
    [
        ("36.4", "6.1", True),
        ("36.4.0", "6.1", True),
        ("36.4.3", "6.2", True),
        ("36.4.7", "6.2.1", False),
        ("36.3", "6.0", True),
        ("39.2.1", "7.2", False),
        ("32.7.4", "4.6.1", False),
    ],
)
def test_an_l4t_number_belongs_to_the_release_at_or_below_it(l4t: str, version: str, exact: bool) -> None:
    found = jetpack.from_l4t(l4t)
    assert found is not None
    assert (found[0].version, found[1]) == (version, exact)


@pytest.mark.parametrize("l4t", ["99.1", "36.0", "28.2"])
def test_an_l4t_number_outside_the_table_is_unknown(l4t: str) -> None:
    assert jetpack.from_l4t(l4t) is None


@pytest.mark.parametrize(
    ("asked", "row"), [("6.2", "6.2"), ("5.1.4", "5.1"), ("6.2.0", "6.2"), ("5.0", "5.0.2")]
)
def test_a_point_release_is_found_by_the_row_below_it(asked: str, row: str) -> None:
    assert jetpack.find(asked).version == row


@pytest.mark.parametrize("text", ["", "6.x", "six", "6..2", "-1", "٦.2"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(TargetError, match="is no version number"):
        jetpack.version_key(text)


def test_an_unknown_major_version_lists_the_known() -> None:
    with pytest.raises(TargetError, match=r"JetPack 8.0 is not known; known are 4.6, .*7.2.2"):
        jetpack.check("8.0")
