"""Weights as whole numbers, so that their sums are exact in any order and what was added can be taken off again.

A weight w becomes ``u = rint(w · 2^15)``, at least 2^-10 and at most 2^16; a row without one counts once. Sums of rows become sums
of u. Other sums of a table (of scores, of losses) are whole numbers already: each row's is multiplied by its weight and rounded.
Squares, which Kish's number of rows needs, are kept as two whole numbers, because u² has up to 62 digits::

    u² = high · 2^30 + low        Σu² = 2^30 Σhigh + Σlow

Capacity: 2^31 rows of the largest weight, and other sums as long as all rows together stand for fewer than ``MOST_TOGETHER``.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from calidris.batch import Floats, Ints, Mask, NumberColumn

ONE: Final = 1 << 15
"""A weight of one."""
LEAST: Final = 2.0**-10
MOST: Final = 2.0**16
"""Weights beyond these count as these."""
MOST_TOGETHER: Final = 2.0**32
"""What the rows of a table may stand for together: the largest number that a row adds, 2^30, then fits so many times."""

_LOW = 30
_MASK = (1 << _LOW) - 1


def units_of(weight: NumberColumn | None) -> Ints | None:
    """Weights of n rows in units, int64[n]; None where each row counts once.

    >>> units_of(NumberColumn.of([1.0, 10.0, float("nan")])).tolist()
    [32768, 327680, 32768]
    >>> units_of(NumberColumn.of([1.0, 1.0])) is None
    True
    """
    if weight is None:
        return None
    known = np.where(weight.valid, weight.values, 1.0)
    return units_of_numbers(known)


def units_of_numbers(weights: Floats) -> Ints | None:
    """The same of finite numbers, float64[n]."""
    inside = np.clip(weights, LEAST, MOST)
    scaled = np.rint(inside * ONE)
    units: Ints = scaled.astype(np.int64)
    all_one = (units == ONE).all()
    return None if all_one else units


def count_clipped(weight: NumberColumn | None) -> int:
    """How many weights lie so far out that they count as another one."""
    if weight is None:
        return 0
    outside = weight.valid & _is_outside(weight.values)
    return int(np.count_nonzero(outside))


def _is_outside(weights: Floats) -> Mask:
    outside: Mask = (weights < LEAST) | (weights > MOST)
    return outside


def weigh(
    sums: Ints,
    units: Ints,
) -> Ints:
    """What rows add when each counts by its weight, int64[sums, n].

    Args:
        sums: what each adds where it counts once, int64[sums, n]; the first sum counts rows, and becomes one of units.
        units: their weights, int64[n].
    """
    weights = units / ONE
    weighed = np.rint(sums * weights)
    out: Ints = weighed.astype(np.int64)
    out[0] = sums[0] * units
    return out


def square(units: Ints) -> Ints:
    """Squares of weights in two parts, high and low: int64[2, n]."""
    squares = units * units
    high = squares >> _LOW
    low = squares & _MASK
    return np.stack([high, low])


def squares_of(high: Ints, low: Ints) -> Floats:
    """Σw² from the sums of both parts."""
    total: Floats = high + low / (1 << _LOW)
    return total
