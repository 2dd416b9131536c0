"""A speaker's row for the length of a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from edgevoice.runtime import styles

ROWS = np.array([[0.0, 10.0], [1.0, 20.0], [3.0, 40.0]], np.float32)
COUNTS = [3, 5, 9]


@pytest.mark.parametrize(
    ("ids", "row"),
    [(3, [0, 10]), (4, [0.5, 15]), (5, [1, 20]), (6, [1.5, 25]), (9, [3, 40]), (1, [0, 10]), (800, [3, 40])],
)
def test_rows_between_counts_are_linear_and_beyond_them_the_nearest(ids: int, row: list[float]) -> None:
    found = styles.at(ROWS, COUNTS, ids)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [row], atol=1e-6)


def test_one_count_and_none_are_one_row() -> None:
    np.testing.assert_array_equal(styles.at(ROWS[:1], [7], 100), ROWS[:1])
    np.testing.assert_array_equal(styles.at(ROWS[1], [], 100), ROWS[1:2])
