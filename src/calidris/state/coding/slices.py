"""The slice axis: which rows of a state a labelled prediction is counted in.

::

    row 0        all predictions
    then         each level of each slice, and one row for the slice's other levels
    then         each pair of such rows, for each intersection

A value that is missing is in no row of its slice, nor of any intersection with it; it is in row 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calidris.batch import CodedColumn, Ints

MAX_SLICE_ROWS = 200
"""Rows on the axis unless the spec says otherwise: states that carry slices grow with them."""

Label = tuple[tuple[str, str | None], ...]
"""What a row is: ``(name, level)`` pairs, none for all predictions; the level None is "the other levels"."""


@dataclass(frozen=True, slots=True)
class Slice:
    """One attribute to cut by, with the levels that are kept apart; all others fall together."""

    name: str
    levels: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Its rows on the axis: one a level and one for the rest."""
        return len(self.levels) + 1


@dataclass(frozen=True)
class SliceAxis:
    """The rows of some slices and of their intersections.

    Attributes:
        slices: what to cut by.
        intersections: pairs of names out of ``slices`` that are cut by together.
        most: rows that the axis may have.

    Raises:
        ValueError: an intersection of unknown slices, of a slice with itself or listed twice, or too many rows.

    >>> axis = SliceAxis((Slice("sex", ("f",)), Slice("country", ("NL", "BE"))), (("sex", "country"),))
    >>> axis.count, axis.labels[1], axis.labels[-1]
    (12, (('sex', 'f'),), (('sex', None), ('country', None)))
    """

    slices: tuple[Slice, ...]
    intersections: tuple[tuple[str, str], ...] = ()
    most: int = MAX_SLICE_ROWS

    def __post_init__(self) -> None:
        names = [s.name for s in self.slices]
        if len(set(names)) != len(names):
            raise ValueError(f"a slice is listed twice: {', '.join(names)}")
        for pair in self.intersections:
            if len(set(pair)) != 2 or not set(pair) <= set(names):
                raise ValueError(f"intersection {' x '.join(pair)}: it takes two of the slices {', '.join(names)}")
        if len({frozenset(pair) for pair in self.intersections}) != len(self.intersections):
            raise ValueError("an intersection is listed twice")
        if self.count > self.most:
            raise ValueError(self._too_many())

    def _too_many(self) -> str:
        sizes = [(s.name, s.rows) for s in self.slices] + [(" x ".join(p), self._rows(*p)) for p in self.intersections]
        parts = ", ".join(f"{name}: {rows}" for name, rows in sizes)
        return (
            f"slices need {self.count} rows and {self.most} are allowed ({parts}, all: 1); "
            "keep fewer levels, cut by fewer intersections, or raise slice_cap"
        )

    @property
    def count(self) -> int:
        """Rows on the axis."""
        return 1 + sum(s.rows for s in self.slices) + sum(self._rows(*pair) for pair in self.intersections)

    @cached_property
    def _by_name(self) -> dict[str, tuple[int, Slice]]:
        return {s.name: (i, s) for i, s in enumerate(self.slices)}

    def _rows(self, one: str, two: str) -> int:
        return self._by_name[one][1].rows * self._by_name[two][1].rows

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """First row of each slice, then of each intersection."""
        sizes = [1, *(s.rows for s in self.slices), *(self._rows(*pair) for pair in self.intersections)]
        return tuple(np.cumsum(sizes)[:-1].tolist())

    @cached_property
    def labels(self) -> tuple[Label, ...]:
        """What each row of the axis is."""
        levels = {s.name: [(s.name, level) for level in (*s.levels, None)] for s in self.slices}
        out: list[Label] = [()]
        out += [(label,) for s in self.slices for label in levels[s.name]]
        out += [(a, b) for one, two in self.intersections for a in levels[one] for b in levels[two]]
        return tuple(out)

    def rows(self, columns: Sequence[CodedColumn | None]) -> Ints:
        """Row of each value, int64[columns that are there, n]; -1 where the value is missing, None where the column is."""
        out = []
        for s, base, column in zip(self.slices, self.starts[: len(self.slices)], columns, strict=True):
            if column is not None:
                index = {level: base + i for i, level in enumerate(s.levels)}
                rest = base + len(s.levels)
                rows = np.array([*(index.get(level, rest) for level in column.levels), -1], dtype=np.int64)
                out.append(rows[column.codes])
        return np.array(out, dtype=np.int64)

    def cross(self, rows: Ints) -> Ints:
        """The same rows with those of the intersections behind them, int64[slices + intersections, n].

        Args:
            rows: int64[slices, n], every slice in order.
        """
        if not self.intersections:
            return rows
        out = [*rows]
        for (one, two), start in zip(self.intersections, self.starts[len(self.slices) :]):
            (i, _), (j, second) = self._by_name[one], self._by_name[two]
            a, b = rows[i], rows[j]
            pair = start + (a - self.starts[i]) * second.rows + (b - self.starts[j])
            out.append(np.where((a < 0) | (b < 0), -1, pair))
        return np.array(out, dtype=np.int64)
