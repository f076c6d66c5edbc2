"""Numbers of a baseline's file that look as if they stood for a gap: -999 among ages.

Such a value is one that many rows share, at an end of its column, and either far from all others or written as programs write
a gap: -1 beside numbers that are never negative, nothing but nines, or the largest double of C and Java. It is proposed, not
taken: a zero that half of the customers spend is a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

import numpy as np

from calidris.batch import (
    Column,
    Floats,
    Ints,
    NumberColumn,
)

MOST_DIFFERENT: Final = 20
"""With so few different values each has a bin of its own, and an end is a level like another: codes, grades, days."""

LEAST_ROWS: Final = 5
LEAST_SHARE: Final = 0.002
"""Rows that share it: fewer are an outlier, whatever they stand for."""


class LikelyGap(NamedTuple):
    """One value that may stand for a gap.

    Attributes:
        feature: name of the column.
        value: the number.
        rows: how many of the rows looked at have it.
        of: how many were looked at.
    """

    feature: str
    value: float
    rows: int
    of: int

    @property
    def written(self) -> str:
        """The value with all its digits, as it is to be copied."""
        digits = repr(self.value)
        return digits.removesuffix(".0")


def find_likely_gaps(
    features: Mapping[str, Column],
) -> tuple[LikelyGap, ...]:
    """The values of these rows that look so, by feature. Cost: two sorts a column."""
    found: list[LikelyGap] = []
    for name in sorted(features):
        column = features[name]
        if not isinstance(column, NumberColumn):
            continue
        of = len(column)
        for value, rows in _shared(column):
            gap = LikelyGap(name, value, rows, of)
            found.append(gap)
    return tuple(found)


def _shared(column: NumberColumn) -> Iterator[tuple[float, int]]:
    """Values of a column that look so, and how many rows share each."""
    least = LEAST_SHARE * len(column)
    least = max(least, LEAST_ROWS)
    # Whatever the others are, no measurement is that large.
    beyond = column.values[column.beyond]
    different, rows = _count(beyond)
    for at in range(len(different)):
        if rows[at] >= least:
            yield float(different[at]), int(rows[at])
    usual = column.values[column.valid]
    different, rows = _count(usual)
    for at in _likely_ends(different):
        if rows[at] >= least:
            yield float(different[at]), int(rows[at])


def _count(values: Floats) -> tuple[Floats, Ints]:
    different, rows = np.unique(values, return_counts=True)
    return different, rows


def _likely_ends(different: Floats) -> Iterator[int]:
    """Places of the lowest and the highest of some ascending values, where they look so."""
    if len(different) <= MOST_DIFFERENT:
        return
    if _is_likely(different[0], different[1:]):
        yield 0
    if _is_likely(different[-1], different[:-1]):
        yield -1


def _is_likely(value: float, others: Floats) -> bool:
    distance = np.abs(others - value).min()
    spread = others[-1] - others[0]
    if distance > spread:
        return True
    if value == -1.0:
        return bool(others[0] >= 0.0)
    # Of ages up to 98 a 99 is the next one.
    is_apart = distance > spread / MOST_DIFFERENT
    return bool(is_apart and _is_all_nines(value))


def _is_all_nines(value: float) -> bool:
    digits = f"{abs(value):.15g}"
    digits = digits.replace(".", "")
    if len(digits) < 2:
        return False
    return set(digits) == {"9"}
