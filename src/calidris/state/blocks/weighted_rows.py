"""All rows of a pane by their weights: the same cells and moments as are counted by row, and the squares of the weights."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from calidris.batch import Ints, PredictionBatch
from calidris.state import fixed
from calidris.state.base import ArrayState
from calidris.state.blocks.counts import CountsState
from calidris.state.blocks.moments import MomentsState, find_numbers
from calidris.state.cell_sums import scales
from calidris.state.spec import Spec
from calidris.state.weights import ONE, square


class WeightedRows(ArrayState):
    """Σw of each cell of each field, weighted moments, and Σw² of all rows: one int64 array.

    There is one only where a weight other than one was seen; rows that came before it, or without a weight, count once in it.
    """

    KIND: ClassVar[int] = 10
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """Cells, then the sums of each measured field with the number of rows before them, then both parts of Σw²."""
        measured = 1 + len(scales(spec))
        sums = fixed.SUMS * measured
        return (spec.cells + sums + 2,)

    @property
    def cells(self) -> Ints:
        """Σw of each cell in units, int64[cells]: a view."""
        return self.array[: self.spec.cells]

    @property
    def moments(self) -> Ints:
        """As ``MomentsState`` has them, int64[1 + measured fields, 6]: a view. Row 0 holds the number of rows."""
        sums = self.array[self.spec.cells : -2]
        return sums.reshape(-1, fixed.SUMS)

    @property
    def squares(self) -> Ints:
        """Both parts of Σw², int64[2]: a view."""
        return self.array[-2:]

    @property
    def count(self) -> int:
        """Rows seen."""
        return int(self.moments[0, 0])

    @property
    def total(self) -> int:
        """Σw of all rows, in units."""
        end = self.spec.offsets[1]
        first_field = self.cells[:end]
        return int(first_field.sum())

    @classmethod
    def at_one(
        cls,
        counts: CountsState,
        moments: MomentsState | None = None,
    ) -> Self:
        """Rows that each count once."""
        out = cls(counts.spec)
        out.cells[:] = counts.array * ONE
        out.squares[0] = counts.count
        if moments is not None:
            out.moments[:] = moments.array
            out.moments[1:, fixed.OF_ROWS] *= ONE
        out.moments[0, 0] = counts.count
        return out

    def update(
        self,
        cells: Ints,
        units: Ints | None,
        batch: PredictionBatch | None = None,
    ) -> None:
        """Count encoded rows by their weights.

        Args:
            cells: int64[fields, n] as ``Spec.encode`` gives them.
            units: weights, int64[n]; None where each counts once.
            batch: the same rows, for their moments; None where none are kept.
        """
        rows = cells.shape[1]
        once = np.full(rows, ONE)
        weights = once if units is None else units
        # bincount's weights are doubles; add.at keeps integers exact. Of one dimension each: it does not repeat values rightly.
        np.add.at(
            self.cells,
            cells.ravel(),
            np.tile(weights, len(cells)),
        )
        squares = square(weights)
        self.squares[:] += squares.sum(axis=1)
        self.moments[0, 0] += rows
        if batch is not None:
            self._measure(batch, weights)

    def _measure(self, batch: PredictionBatch, units: Ints) -> None:
        found = find_numbers(self.spec, batch)
        for at, (scale, column) in found.items():
            sums = fixed.row_sums(
                column.values,
                column.valid,
                scale,
            )
            weighed = fixed.weigh_rows(sums, units)
            self.moments[at] += weighed.sum(axis=1)
