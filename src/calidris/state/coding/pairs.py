"""Pair: how the relation of two numbers becomes one field, whose cell says which quarter of the one came with which of the other.

Both columns may keep their own histograms while what belonged together no longer does: a join that mixes rows up, a column of
another day. Nothing that looks at one column at a time can see that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from calidris.batch import Ints
from calidris.state.coding.fields import HIGH, LOW, MISSING, Field, Kind, Role

Codes = npt.NDArray[np.uint8]

SIGN = " × "
MOST_GROUPS = 4
_GAP = 32
"""Stands for "no value": more than any cell of a pair, and a sum with it stays below 256."""


@dataclass(frozen=True)
class Pair:
    """Two numeric features whose relation is counted.

    A row in which either has no value is counted as missing: the columns' own fields say which.

    Attributes:
        one: name of the first feature.
        two: name of the second.
        cuts: edges of the bins of each that part its groups, one to three: about its quartiles.

    Raises:
        ValueError: another number of cuts.
    """

    one: str
    two: str
    cuts: tuple[tuple[float, ...], tuple[float, ...]]

    def __post_init__(self) -> None:
        for cuts in self.cuts:
            if not 0 < len(cuts) < MOST_GROUPS:
                raise ValueError(f"pair {self.name!r}: one to three cuts a column, got {cuts}")

    @property
    def name(self) -> str:
        """What an alarm calls it.

        >>> Pair("age", "income", ((30.0,), (900.0, 1500.0))).name
        'age × income'
        """
        return f"{self.one}{SIGN}{self.two}"

    @property
    def columns(self) -> tuple[str, str]:
        """Names of the two features."""
        return self.one, self.two

    @property
    def shape(self) -> tuple[int, int]:
        """Groups of the first and of the second column."""
        one, two = self.cuts
        return len(one) + 1, len(two) + 1

    @property
    def field(self) -> Field:
        """The field that it is counted in: groups of the first column, within each those of the second."""
        rows, columns = map(range, self.shape)
        levels = [f"{i + 1},{j + 1}" for i in rows for j in columns]
        return Field(
            self.name,
            Role.PAIR,
            Kind.PAIR,
            levels=tuple(levels),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``Pair.from_json`` reads back exactly."""
        return {
            "columns": [self.one, self.two],
            "cuts": list(map(list, self.cuts)),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Pair:
        """The pair that ``to_json`` described."""
        one, two = data["columns"]
        cuts_one, cuts_two = data["cuts"]
        return cls(one, two, (tuple(cuts_one), tuple(cuts_two)))


class PairCells:
    """The pairs of a spec, laid out for counting.

    The cells of pairs are read off the cells of their columns, so that no value is laid against an edge twice.

    Args:
        fields: all fields of the spec.
        offsets: first cell of each field, and the number of all cells.
        pairs: the pairs, each with a field.

    Raises:
        ValueError: a pair of what is no numeric feature, or with cuts that are no edges of its bins.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        offsets: Ints,
        pairs: Sequence[Pair],
    ) -> None:
        self._offsets = offsets
        self._tables: list[_Table] = []
        self._columns: list[_Column] = []
        places = {(f.role, f.name): at for at, f in enumerate(fields)}
        for pair in pairs:
            place = places[Role.PAIR, pair.name]
            halves = [
                self._note(_find_column(fields, places, name, cuts))
                for name, cuts in zip(pair.columns, pair.cuts)
            ]  # fmt: skip
            table = _Table(place, halves, pair.shape)
            self._tables.append(table)

    def _note(self, column: _Column) -> int:
        """Place of a column among those that are looked up; one that several pairs have is looked up once."""
        if column not in self._columns:
            self._columns.append(column)
        return self._columns.index(column)

    def encode(self, cells: Ints) -> None:
        """Fill in the cells of the pairs, from those of all other fields: int64[fields, n].

        Cost: a look-up a row and column of a pair, and a sum a row and pair.
        """
        groups = [self._look_up(column, cells) for column in self._columns]
        for table in self._tables:
            one, two = table.halves
            inside = table.find(groups[one], groups[two])
            first = self._offsets[table.place]
            np.add(inside, first, out=cells[table.place])

    def _look_up(self, column: _Column, cells: Ints) -> Codes:
        """Group of each row, uint8[n]."""
        first = self._offsets[column.place]
        own = cells[column.place] - first
        groups: Codes = column.codes[own]
        return groups


@dataclass(frozen=True)
class _Column:
    """One column of a pair: the place of its field, and the group of each of its cells, a byte each."""

    place: int
    groups: bytes

    @cached_property
    def codes(self) -> Codes:
        return np.frombuffer(self.groups, dtype=np.uint8)


@dataclass(frozen=True)
class _Table:
    """One pair: place of its field, which two columns it is of, and how many groups these have."""

    place: int
    halves: list[int]
    shape: tuple[int, int]

    def find(self, one: Codes, two: Codes) -> Codes:
        """The cell of each row within the field, from its two groups: uint8[n]."""
        rows, columns = self.shape
        above = one * np.uint8(columns)
        both = above + two
        # Whatever a gap is part of lies beyond the last cell: it goes to the one of missing rows.
        missing = np.uint8(rows * columns + MISSING)
        inside: Codes = np.minimum(both, missing)
        return inside


def _find_column(
    fields: Sequence[Field],
    places: Mapping[tuple[Role, str], int],
    name: str,
    cuts: tuple[float, ...],
) -> _Column:
    """One column of a pair; ``places`` are those of the fields."""
    place = places.get((Role.FEATURE, name))
    if place is None or fields[place].kind is not Kind.NUMERIC:
        raise ValueError(f"a pair with {name!r}, which is no numeric feature")
    field = fields[place]
    inner = set(field.edges[1:-1])
    if not inner.issuperset(cuts):
        raise ValueError(f"pair cuts {cuts} of {name!r} are no edges between its bins")
    codes = _sort_cells(field, cuts)
    return _Column(place, codes.tobytes())


def _sort_bins(field: Field, cuts: tuple[float, ...]) -> Ints:
    """How many cuts lie at or below each bin."""
    lower = field.edges[:-1]
    return np.searchsorted(
        cuts,
        lower,
        side="right",
    )


def _sort_cells(field: Field, cuts: tuple[float, ...]) -> Codes:
    """Group of each cell of a numeric field, uint8[width]: what is out of range goes with the first and the last bin."""
    ordered = field.ordered
    codes = np.full(field.width, _GAP, dtype=np.uint8)
    codes[:ordered] = _sort_bins(field, cuts)
    last = ordered - 1
    codes[ordered + LOW] = codes[0]
    codes[ordered + HIGH] = codes[last]
    return codes
