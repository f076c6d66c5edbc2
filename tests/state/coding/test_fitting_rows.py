"""Rows that are set apart: one in four, evenly, and of every kind that comes in turn."""

from __future__ import annotations

import numpy as np
import pytest

from calidris.state import fitting_rows
from calidris.state.coding.centroids import MAX_FIT_ROWS


@pytest.mark.parametrize("n", [0, 1, 2, 10, 999, 3000, 60_000])
def test_one_in_four(n: int) -> None:
    assert abs(fitting_rows(n).sum() - n / 4) <= 2


@pytest.mark.parametrize("period", [2, 3, 4, 7, 24, 60])
def test_rows_that_come_in_turn_are_all_among_them(period: int) -> None:
    turns = np.arange(6000) % period
    each = np.bincount(turns[fitting_rows(6000)], minlength=period)
    assert each.min() > 0.8 * 1500 / period
    assert each.max() < 1.2 * 1500 / period


def test_every_stretch_has_some() -> None:
    places = np.flatnonzero(fitting_rows(10_000))
    assert np.diff(places).max() <= 8


def test_never_more_than_are_needed() -> None:
    assert 0.9 * MAX_FIT_ROWS < fitting_rows(1_000_000).sum() <= MAX_FIT_ROWS + 2
