"""Values at the end of a column that look as if they stood for a gap."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from calidris.baseline.likely_gaps import find_likely_gaps
from calidris.batch import CodedColumn, Floats, NumberColumn

N = 2000
RNG = np.random.default_rng(7)
AGES = RNG.integers(18, 91, N).astype(float)
AMOUNTS = np.round(RNG.lognormal(4, 1.2, N), 2)


def with_atom(values: Floats, value: float, share: float = 0.05) -> Floats:
    found = values.copy()
    found[: int(share * len(values))] = value
    return found


@pytest.mark.parametrize(
    ("values", "gap"),
    [
        (AGES, -999.0),
        (AGES, -1.0),
        (AGES, 999.0),
        (AGES, 99.0),
        (AMOUNTS, -9999.0),
        (AMOUNTS, 1e9),
        (AMOUNTS, sys.float_info.max),
        (RNG.choice([0.0, 1.0], N), -sys.float_info.max),
        (RNG.normal(size=N), -99.9),
    ],
)
def test_it_is_found_with_its_rows(values: Floats, gap: float) -> None:
    (found,) = find_likely_gaps({"x": NumberColumn.of(with_atom(values, gap))})
    assert found == ("x", gap, N // 20, N)


@pytest.mark.parametrize(
    "values",
    [
        AGES,
        AMOUNTS,
        with_atom(AMOUNTS, 0.0, 0.5),  # half of the customers spend nothing
        with_atom(AGES, 90.0),  # cut off at a bound
        with_atom(AGES, -999.0, 0.001),  # two rows: outliers
        with_atom(RNG.normal(size=N), -1.0),  # in the middle
        with_atom(np.round(RNG.normal(0, 100, N)), -1.0),
        RNG.choice([-1.0, 0.0, 1.0, 2.0], N),  # levels
        np.full(N, np.nan),
    ],
)
def test_a_value_is_left_alone(values: Floats) -> None:
    assert find_likely_gaps({"x": NumberColumn.of(values), "text": CodedColumn.of(["-999"] * len(values))}) == ()


def test_both_ends() -> None:
    found = find_likely_gaps({"x": NumberColumn.of(with_atom(with_atom(AGES, -999.0, 0.1), 999.0))})
    assert [(gap.value, gap.rows) for gap in found] == [(-999.0, N // 20), (999.0, N // 20)]
