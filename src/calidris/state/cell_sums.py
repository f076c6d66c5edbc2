"""Where the numbers of a cell lie: the sum of the values that fell into each one, beside how many they were.

A cell with its mean is a point on the line, and lengths between such points are those between the values: to the last digit where a cell
holds one value, or where its rows all moved, and within a tenth of the bins' width elsewhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.state import fixed
from calidris.state.base import ArrayState
from calidris.state.coding.fields import HIGH, LOW, Field, Kind, Role
from calidris.state.fixed import Scale
from calidris.state.spec import Spec

MEASURED = frozenset({Role.FEATURE, Role.SCORE, Role.VALUE})
"""Roles whose numbers are summed."""

FAR = 4
"""Sums of a field for values beyond what a scale holds: the rest above it of ``low`` and of ``high``, in two parts each."""
DIGITS = 26
MASK = (1 << DIGITS) - 1
FARTHEST = 2.0**52
"""Units from the middle of the scale, about 3·10^10 spreads: what lies further out stands there."""


class Places(NamedTuple):
    """Where the sums of F measured fields are, and what their scales are.

    Attributes:
        fields: places in the spec, int64[F].
        low: cell of the values below the range, int64[F, 1].
        high: likewise above it.
        low_end: the outer edges in units of the scale, float64[F, 1].
        high_end: likewise.
    """

    fields: Ints
    low: Ints
    high: Ints
    low_end: Floats
    high_end: Floats


class CellSums(ArrayState):
    """Sums of fixed-point numbers by cell, int64[1 + cells + 4 F]; the first entry is the number of rows.

    8 bytes a cell, as the counts themselves. Numbers are those of ``MomentsState``, from the middle of each field's scale.
    """

    KIND: ClassVar[int] = 12
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """Rows, one sum a cell, and four a measured field."""
        far = FAR * len(scales(spec))
        return (1 + spec.cells + far,)

    @property
    def count(self) -> int:
        """Rows whose numbers are in the sums."""
        return int(self.array[0])

    @property
    def by_cell(self) -> Ints:
        """The sum of each cell: a view."""
        return self.array[1 : 1 + self.spec.cells]

    @property
    def by_field(self) -> Ints:
        """What is beyond the scale, int64[F, low or high, part]: a view."""
        beyond = self.array[1 + self.spec.cells :]
        return beyond.reshape(-1, 2, 2)

    def add(
        self,
        rows: list[int],
        cells: Ints,
        q: Floats,
        valid: Mask,
    ) -> None:
        """Add fixed-point numbers of some measured fields, float64[rows, n], that lie in some cells, int64[rows, n].

        In doubles, and yet exact: whole numbers of at most 2^30, fewer than 2^22 of them.
        """
        if not valid.all():
            places = cell_places(self.spec)
            gone = ~valid
            # What is in no sum, as the largest doubles are, but in an outer cell stands on the outer edge.
            q = np.where(gone & (cells == places.low[rows]), places.low_end[rows], q)
            q = np.where(gone & (cells == places.high[rows]), places.high_end[rows], q)
        found = np.bincount(
            cells.ravel(),
            weights=q.ravel(),
            minlength=self.spec.cells,
        )
        self.by_cell[:] += found.astype(np.int64)

    def add_far(self, rows: Ints, beyond: Floats) -> None:
        """Add what is left of numbers beyond the scale, of measured fields int64[n]; below the range it is below 0."""
        rest = np.clip(beyond, -FARTHEST, FARTHEST)
        whole = rest.astype(np.int64)
        side = (whole > 0).astype(np.int64)
        # In two parts, so that 2^33 rows fit.
        flat = self.by_field.reshape(-1)
        first = FAR * rows + 2 * side
        np.add.at(flat, first, whole >> DIGITS)
        np.add.at(flat, first + 1, whole & MASK)

    def from_centre(self) -> Floats:
        """Sum of the values of each cell less as many centres of its field's scale, float64[cells]."""
        total = self.by_cell.astype(np.float64)
        places = cell_places(self.spec)
        far = self.by_field.astype(np.float64)
        rest = far[..., 0] * 2.0**DIGITS
        rest += far[..., 1]
        total[places.low.ravel()] += rest[:, 0]
        total[places.high.ravel()] += rest[:, 1]
        return total * units(self.spec)


@lru_cache(maxsize=64)
def scales(spec: Spec) -> dict[int, Scale]:
    """Scale of each measured field, by its position in the spec. Remembered for the last 64 specs."""
    found = {}
    for i, f in enumerate(spec.fields):
        if f.kind is Kind.NUMERIC and f.role in MEASURED:
            found[i] = Scale.of_field(f)
    return found


@lru_cache(maxsize=64)
def cell_places(spec: Spec) -> Places:
    """Where sums are. Remembered for the last 64 specs."""
    fields = list(scales(spec))
    specials = [int(spec.offsets[i]) + spec.fields[i].ordered for i in fields]
    column = np.array(specials, dtype=np.int64).reshape(-1, 1)
    ends = [_find_ends(spec.fields[i], scale) for i, scale in scales(spec).items()]
    low_end, high_end = np.array(ends).reshape(-1, 2).T[..., None]
    return Places(
        np.array(fields, dtype=np.int64),
        column + LOW,
        column + HIGH,
        low_end,
        high_end,
    )


def _find_ends(f: Field, scale: Scale) -> Floats:
    """The outer edges of a field in units of its scale."""
    outer = np.array([f.edges[0], f.edges[-1]])
    found, _ = fixed.numbers(
        outer,
        np.array(scale.centre),
        np.array(scale.unit),
    )
    return found


@lru_cache(maxsize=64)
def units(spec: Spec) -> Floats:
    """Unit of each cell's field, float64[cells]; 0 where nothing is summed. Remembered for the last 64 specs."""
    by_field = {i: scale.unit for i, scale in scales(spec).items()}
    return _spread(spec, by_field)


@lru_cache(maxsize=64)
def centres(spec: Spec) -> Floats:
    """Centre of each cell's field, float64[cells]; 0 where nothing is summed. Remembered for the last 64 specs."""
    by_field = {i: scale.centre for i, scale in scales(spec).items()}
    return _spread(spec, by_field)


def _spread(spec: Spec, by_field: dict[int, float]) -> Floats:
    """What a field has, in each of its cells; 0 elsewhere."""
    found = np.zeros(spec.cells)
    for i, value in by_field.items():
        begin, end = spec.offsets[i : i + 2]
        found[begin:end] = value
    return found
