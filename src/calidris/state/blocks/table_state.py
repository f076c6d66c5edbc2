"""States of labelled rows: each row falls into one cell and adds to a few sums there.

::

    rows ── place ──► Entries (cell and addends of each row) ──┬─► TableState   dense: windows and baselines
                                                               └─► SparseTable  touched cells only: panes
"""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.state.base import ArrayState
from calidris.state.spec import Spec

DELAY_EDGES_S: tuple[float, ...] = (3600.0, 21600.0, 86400.0, 259200.0, 604800.0, 2592000.0)
"""Upper ends of the delay buckets: 1 h, 6 h, 1 d, 3 d, 7 d, 30 d; a last one holds the rest."""

DELAYS = len(DELAY_EDGES_S) + 1


class Entries(NamedTuple):
    """What rows add to a table: ``cells`` int64[m], any order, and ``sums`` int64[sums, m]."""

    cells: Ints
    sums: Ints

    def and_also(self, other: Entries) -> Entries:
        """These and others."""
        return Entries(np.concatenate([self.cells, other.cells]), np.concatenate([self.sums, other.sums], axis=1))

    def summed(self) -> Entries:
        """The same with each cell once, ascending; O(m log m), exact."""
        cells, place = np.unique(self.cells, return_inverse=True)
        sums = np.zeros((len(self.sums), len(cells)), dtype=np.int64)
        for out, values in zip(sums, self.sums):
            np.add.at(out, place, values)  # bincount's weights are doubles; add.at keeps integers exact
        return Entries(cells, sums)


class TableState(ArrayState):
    """A dense table, int64[slice, …, sum]: the first axis is the slice axis, the last one the ``SUMS`` of a cell.

    Where ``SUMS`` is 1 there is no last axis. A sub-class says where rows go: a method like ``GroupsState.place`` gives their ``Entries`` for
    this table and for a ``SparseTable`` of it alike.
    """

    SUMS: ClassVar[int] = 1
    __slots__ = ()

    @classmethod
    def counting(cls, spec: Spec) -> Ints:
        """Cells, ascending, whose first sums together count every row once."""
        raise NotImplementedError

    @classmethod
    def size(cls, spec: Spec) -> int:
        """Number of cells."""
        return math.prod(cls.shape(spec)) // cls.SUMS

    @property
    def cells(self) -> Ints:
        """All cells, int64[size, SUMS]: a view."""
        return self.array.reshape(-1, self.SUMS)

    @property
    def count(self) -> int:
        """Labelled rows seen."""
        return int(self.cells[self.counting(self.spec), 0].sum())

    def add(self, entries: Entries) -> None:
        """Add entries that a sub-class placed under the same spec; O(entries)."""
        table = self.cells
        for i, values in enumerate(entries.sums):
            np.add.at(table[:, i], entries.cells, values)


def delay_buckets(delay_s: Floats) -> Ints:
    """Bucket of each delay; a bucket holds its upper end."""
    return np.searchsorted(DELAY_EDGES_S, delay_s, side="left")


def over_slices(entries: Entries, slice_rows: Ints | None, slice_cells: int) -> Entries:
    """Entries of row 0 of the slice axis, followed by the same rows in each row of the axis that they belong to.

    Args:
        entries: one a row, int64[n], in the table's first ``slice_cells`` cells.
        slice_rows: int64[any, n], rows on the slice axis; -1 is no row.
        slice_cells: cells of one row of the axis.
    """
    if slice_rows is None or not len(slice_rows):
        return entries
    seen = slice_rows >= 0
    which = np.nonzero(seen)[1]
    return entries.and_also(Entries(slice_rows[seen] * slice_cells + entries.cells[which], entries.sums[:, which]))
