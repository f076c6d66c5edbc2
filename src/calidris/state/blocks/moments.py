"""Exact means and variances of every number that a prediction carries: features, score and regression output."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import numpy as np

from calidris.batch import Floats, Ints, Mask, NumberColumn, PredictionBatch
from calidris.state import fixed
from calidris.state.base import ArrayState
from calidris.state.coding.fields import Field, Kind, Role
from calidris.state.fixed import Moments, Scale
from calidris.state.spec import Spec, column_of

MEASURED = frozenset({Role.FEATURE, Role.SCORE, Role.VALUE})
BLOCK_VALUES = 65_536
"""Values handled at once, 512 KiB: enough that numpy's cost of a call is nothing beside them, few enough for the second cache."""


class MomentsState(ArrayState):
    """Sums of the measured fields of a model, int64[1 + measured fields, 6]; row 0 holds the number of rows.

    Measured are the numeric fields of features, score and value, each on a scale that its edges fix: within 2^-17 to 2^-16
    of the spread between the inner edges, up to 2^13 spreads from the middle. ``fixed`` says what happens beyond.

    >>> from calidris.batch import ModelKey
    >>> from calidris.state.coding.fields import Field
    >>> state = MomentsState(Spec(fields=(Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0)),)))
    >>> age = NumberColumn.of([20.0, 40.0, float("nan")])
    >>> state.update(PredictionBatch(ModelKey("t", "m", "1"), np.zeros(3, np.int64), {"age": age}))
    >>> state.count, state.field(2)
    (3, Moments(n=2, clipped=0, mean=30.0, variance=100.0, unit=0.00048828125))
    """

    KIND: ClassVar[int] = 5
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """(rows, then each measured field; sums)."""
        return (1 + len(scales(spec)), fixed.SUMS)

    @property
    def count(self) -> int:
        """Rows seen."""
        return int(self.array[0, 0])

    def update(self, batch: PredictionBatch) -> None:
        """Add the rows of a batch; about 8 ns a value."""
        self.array[0, 0] += len(batch)
        there = find_numbers(self.spec, batch)
        rows, step = list(there), max(1, BLOCK_VALUES // max(len(there), 1))
        centre = np.array([[s.centre] for s, _ in there.values()])
        unit = np.array([[s.unit] for s, _ in there.values()])
        for start in range(0, len(batch) if there else 0, step):
            block = slice(start, start + step)
            values = np.array([c.values[block] for _, c in there.values()])
            valid = np.array([c.valid[block] for _, c in there.values()])
            self.array[rows] += _sums(values, valid, centre, unit)

    def field(self, i: int) -> Moments:
        """Moments of field i of the spec.

        Raises:
            KeyError: the field is not measured.
        """
        return fixed.moments(*self.sums_of(i))

    def sums_of(self, i: int) -> tuple[Ints, Scale]:
        """Sums int64[6] of field i of the spec, and their scale; raises as ``field``."""
        measured = scales(self.spec)
        if i not in measured:
            raise KeyError(f"field {self.spec.fields[i].name!r} has no moments")
        return self.array[1 + list(measured).index(i)], measured[i]


@lru_cache(maxsize=64)
def scales(spec: Spec) -> dict[int, Scale]:
    """Scale of each measured field, by its position in the spec. Remembered for the last 64 specs."""
    measured = ((i, f) for i, f in enumerate(spec.fields) if f.kind is Kind.NUMERIC and f.role in MEASURED)
    return {i: Scale.of_field(f) for i, f in measured}


def _measured(spec: Spec) -> list[tuple[int, Field, Scale]]:
    """Row of the array, field and scale of each measured field."""
    return [(1 + at, spec.fields[i], scale) for at, (i, scale) in enumerate(scales(spec).items())]


def find_numbers(spec: Spec, batch: PredictionBatch) -> dict[int, tuple[Scale, NumberColumn]]:
    """Scale and column of each measured field that a batch has numbers of, by its row of the array."""
    columns = ((row, s, column_of(batch, f)) for row, f, s in _measured(spec))
    return {row: (s, c) for row, s, c in columns if isinstance(c, NumberColumn)}


def _sums(values: Floats, valid: Mask, centre: Floats, unit: Floats) -> Ints:
    """Sums of each field, int64[fields, 6]. A value that is missing stands at the centre, where it adds nothing.

    In doubles, and yet exact: whole numbers below 2^31, fewer than 2^21 of them, add up to less than 2^53.
    """
    q, clipped = fixed.numbers(values if valid.all() else np.where(valid, values, centre), centre, unit)
    a = np.floor(q * 2.0**-fixed.HALF)
    b = q - a * 2.0**fixed.HALF
    n, out = valid.sum(axis=1), clipped.sum(axis=1)
    dots = (np.vecdot(one, two) for one, two in ((a, a), (a, b), (b, b)))
    return np.stack([n, out, q.sum(axis=1), *dots], axis=1).astype(np.int64)
