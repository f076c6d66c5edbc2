"""The cells of a table that rows have touched: what an open pane keeps of labelled rows.

A dense table of twenty slices is a megabyte, and a day of five-minute panes holds 288 of them for every model; the labels of
a pane touch a few hundred of its cells. Windows are merged into a dense table, panes stay sparse.
"""

from __future__ import annotations

from typing import Generic, Self, TypeVar

import numpy as np

from calidris.batch import Ints
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import state_bytes
from calidris.state.blocks.table_state import Entries, TableState
from calidris.state.spec import Spec

T = TypeVar("T", bound=TableState)
SPARSE = 128
"""Added to the kind of a table in the bytes of its sparse form."""


class SparseTable(Generic[T]):
    """The touched cells of a table, ascending, and their sums: exactly the dense table that the same rows make.

    >>> from calidris.state import GroupsState
    >>> pane = SparseTable(GroupsState, Spec())
    >>> pane.add(GroupsState.place(Spec(), truth=np.array([1, 0]), decision=np.array([1, 1]), delay_s=np.zeros(2)))
    >>> pane.count, len(pane.cells), pane.dense().confusion().tolist()
    (2, 2, [[0, 1], [0, 1]])

    Args:
        table: the kind of table.
        spec: what is counted.
        cells: int64[m], ascending.
        sums: int64[m, SUMS].
    """

    __slots__ = ("cells", "spec", "sums", "table")

    def __init__(self, table: type[T], spec: Spec, cells: Ints | None = None, sums: Ints | None = None) -> None:
        self.table = table
        self.spec = spec
        self.cells: Ints = np.empty(0, dtype=np.int64) if cells is None else cells
        self.sums: Ints = np.empty((0, table.SUMS), dtype=np.int64) if sums is None else sums

    @classmethod
    def of(cls, state: T) -> Self:
        """The touched cells of a dense table; O(size)."""
        cells = np.flatnonzero(state.cells.any(axis=1))
        return cls(type(state), state.spec, cells, state.cells[cells])

    @property
    def count(self) -> int:
        """Labelled rows seen."""
        counting = self.table.counting(self.spec)
        place = np.minimum(np.searchsorted(counting, self.cells), max(len(counting) - 1, 0))
        return int(self.sums[counting[place] == self.cells, 0].sum()) if len(counting) else 0

    def add(self, entries: Entries) -> None:
        """Add entries that the table's ``place`` made under the same spec; O(m log m)."""
        cells, sums = entries.summed()
        self._fold(cells, sums.T)

    def take_off(self, entries: Entries) -> None:
        """Take off entries that were added before, exactly: what is left is as if they had never come.

        Raises:
            ValueError: they were not, and nothing is taken off.
        """
        cells, sums = entries.summed()
        self._fold(cells, -sums.T)

    def merge(self, other: Self) -> None:
        """Add the rows of ``other``, which stays untouched; O(touched cells).

        Raises:
            IncompatibleState: another kind of table, or another spec.
        """
        self._require(other.table, other.spec)
        self._fold(other.cells, other.sums)

    def _fold(self, cells: Ints, sums: Ints) -> None:
        if not len(cells):
            return
        union = np.union1d(self.cells, cells)
        out = np.zeros((len(union), self.table.SUMS), dtype=np.int64)
        out[np.searchsorted(union, self.cells)] = self.sums
        out[np.searchsorted(union, cells)] += sums
        if (out[:, 0] < 0).any():  # the first sum of a cell counts rows
            raise ValueError(f"{self.table.__name__}: more rows would be taken off than there are")
        # What nothing is left of is not there: rows that came and went leave no trace.
        left = out.any(axis=1)
        self.cells, self.sums = union[left], out[left]

    def _require(self, table: type[TableState], spec: Spec) -> None:
        if table is not self.table or spec.hash != self.spec.hash:
            raise IncompatibleState(
                f"sparse {self.table.__name__} of spec {self.spec.hash[:8]} and {table.__name__} of {spec.hash[:8]}"
            )

    def add_to(self, state: T) -> None:
        """Add the rows to a dense table, in place.

        Raises:
            IncompatibleState: another kind of table, or another spec.
        """
        self._require(type(state), state.spec)
        state.cells[self.cells] += self.sums

    def dense(self) -> T:
        """The same rows as a dense table."""
        state = self.table(self.spec)
        self.add_to(state)
        return state

    def copy(self) -> Self:
        """An independent state of the same rows."""
        return type(self)(self.table, self.spec, self.cells.copy(), self.sums.copy())

    def to_bytes(self) -> bytes:
        """Self-describing bytes; equal states give equal ones."""
        raw = self.cells.astype("<i8").tobytes() + self.sums.astype("<i8").tobytes()
        return state_bytes.pack(self.table.KIND + SPARSE, self.table.VERSION, self.spec.hash, raw)

    @classmethod
    def from_bytes(cls, table: type[T], spec: Spec, data: bytes) -> Self:
        """The state that ``to_bytes`` wrote.

        Raises:
            CorruptState: not the bytes of such a state.
            IncompatibleState: bytes of another spec or format version.
        """
        name, width, size = f"sparse {table.__name__}", 1 + table.SUMS, table.size(spec)
        raw = state_bytes.unpack(name, table.KIND + SPARSE, table.VERSION, spec.hash, data, 8 * width * size)
        m, rest = divmod(len(raw), 8 * width)
        numbers = np.frombuffer(raw[: len(raw) - rest], dtype="<i8").astype(np.int64)
        cells = numbers[:m]
        if rest or (m and (cells[0] < 0 or cells[-1] >= size or (np.diff(cells) <= 0).any())):
            raise CorruptState(f"{name}: its cells are not in order")
        return cls(table, spec, cells, numbers[m:].reshape(m, table.SUMS))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SparseTable):
            return NotImplemented
        same = other.table is self.table and other.spec.hash == self.spec.hash
        return same and np.array_equal(other.cells, self.cells) and np.array_equal(other.sums, self.sums)

    __hash__ = None  # type: ignore[assignment]  # mutable
