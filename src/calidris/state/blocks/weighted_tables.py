"""Labelled rows of a pane by their weights: the tables that count them by row, once more, and the squares of the weights."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from calidris import semconv
from calidris.batch import Floats, Ints
from calidris.errors import CorruptState
from calidris.state import fixed
from calidris.state.blocks.groups import GroupsState
from calidris.state.blocks.losses import LossesState
from calidris.state.blocks.residuals import TRUTH, VARIABLES, ResidualsState
from calidris.state.blocks.scores import ScoresState
from calidris.state.blocks.sparse import SparseTable
from calidris.state.blocks.table_state import Entries, TableState
from calidris.state.spec import Spec
from calidris.state.weights import MOST_TOGETHER, ONE, square, squares_of


class SquaresState(GroupsState):
    """Σw² of labelled rows, int64[slice, delay, truth, decision, 2]: high and low part.

    A regression, which has no classes, has one truth and one decision.
    """

    KIND: ClassVar[int] = 10
    SUMS: ClassVar[int] = 2
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """That of ``GroupsState``, and two parts."""
        return (*super().shape(spec), cls.SUMS)

    @classmethod
    def place(
        cls,
        spec: Spec,
        truth: Ints,
        decision: Ints,
        delay_s: Floats,
        slice_rows: Ints | None = None,
        units: Ints | None = None,
    ) -> Entries:
        """Where n labelled rows go; without units each counts once."""
        plain = super().place(spec, truth, decision, delay_s, slice_rows, units)
        found = np.full(plain.sums.shape[1], ONE) if units is None else plain.sums[0]
        return Entries(plain.cells, square(found))


KINDS: tuple[type[TableState], ...] = (
    ScoresState,
    LossesState,
    GroupsState,
    ResidualsState,
    SquaresState,
)
OF_ROWS: dict[type[TableState], tuple[int, ...]] = {
    ScoresState: (0,),
    LossesState: (0,),
    GroupsState: (0,),
    ResidualsState: fixed.OF_ROWS,
}
"""Which sums of a cell count rows."""
_SIZES = struct.Struct(f"<{len(KINDS)}I")

Tables = tuple[SparseTable[Any], ...]


class WeightedTables:
    """The touched cells of labelled rows by weight.

    Args:
        spec: what is counted.
        tables: in the order of ``KINDS``.
    """

    __slots__ = ("spec", "tables")

    def __init__(self, spec: Spec, tables: Tables | None = None) -> None:
        self.spec = spec
        self.tables = tables or tuple(SparseTable(kind, spec) for kind in KINDS)

    @classmethod
    def at_one(cls, spec: Spec, tables: Tables) -> Self:
        """Rows that each count once, from the tables that count them by row."""
        weighted = tuple(_at_one(table) for table in tables)
        return cls(spec, (*weighted, _squares_at_one(spec, tables)))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return sum(table.cells.nbytes + table.sums.nbytes for table in self.tables)

    def add(self, kind: type[TableState], entries: Entries) -> None:
        """Add entries that the table's ``place`` made with weights."""
        self.tables[KINDS.index(kind)].add(entries)

    def merge(self, other: WeightedTables) -> None:
        """Add the rows of ``other``, which stays untouched.

        Raises:
            IncompatibleState: another spec.
        """
        for mine, theirs in zip(self.tables, other.tables):
            mine.merge(theirs)

    def to_bytes(self) -> bytes:
        """The bytes of every table, one behind the other."""
        parts = [table.to_bytes() for table in self.tables]
        return _SIZES.pack(*map(len, parts)) + b"".join(parts)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The tables that ``to_bytes`` wrote.

        Raises:
            CorruptState: not such bytes.
            IncompatibleState: bytes of another spec or format version.
        """
        if len(data) < _SIZES.size:
            raise CorruptState(f"{len(data)} bytes are too few for weighted tables")
        ends = np.cumsum([_SIZES.size, *_SIZES.unpack_from(data)]).tolist()
        if ends[-1] != len(data):
            raise CorruptState(f"weighted tables take {ends[-1]} bytes, not {len(data)}")
        parts = [data[a:b] for a, b in pairwise(ends)]
        return cls(spec, tuple(SparseTable.from_bytes(kind, spec, part) for kind, part in zip(KINDS, parts)))


def _at_one(table: SparseTable[Any]) -> SparseTable[Any]:
    out = table.copy()
    out.sums[:, OF_ROWS[table.table]] *= ONE
    return out


def _squares_at_one(spec: Spec, tables: Tables) -> SparseTable[SquaresState]:
    """A square of one for each row: of a regression from the rows with a truth, else from the decisions."""
    _, _, groups, residuals = tables
    cells, rows = groups.cells, groups.sums[:, 0]
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        cells, rows = _rows_of_regression(residuals)
    sums = np.stack([rows, np.zeros_like(rows)], axis=1)
    return SparseTable(SquaresState, spec, cells, sums)


def _rows_of_regression(residuals: SparseTable[ResidualsState]) -> tuple[Ints, Ints]:
    """Cells of slice and delay, of one truth and one decision, and the labelled rows in each."""
    has_truth = residuals.cells % len(VARIABLES) == TRUTH
    place = residuals.cells[has_truth] // len(VARIABLES)
    # One class, and behind its decision the place of rows without one.
    return place * 2, residuals.sums[has_truth, fixed.N]


class WeightedStates(NamedTuple):
    """The same as dense states, in the order of ``KINDS``."""

    scores: ScoresState
    losses: LossesState
    groups: GroupsState
    residuals: ResidualsState
    squares: SquaresState

    @classmethod
    def empty(cls, spec: Spec) -> Self:
        """No labelled row."""
        return cls(
            ScoresState(spec),
            LossesState(spec),
            GroupsState(spec),
            ResidualsState(spec),
            SquaresState(spec),
        )


@dataclass(frozen=True, slots=True)
class Worth:
    """How many rows weighted ones are worth.

    Attributes:
        weights: Σw of labelled rows, float64[slice, truth, decision]; the last decision is none.
        squares: Σw² of them.
    """

    weights: Floats
    squares: Floats

    @classmethod
    def of(cls, states: WeightedStates) -> Worth:
        """That of labelled rows of every delay."""
        groups = states.groups.array.sum(axis=1) / ONE
        parts = states.squares.array.sum(axis=1)
        squares = squares_of(parts[..., 0], parts[..., 1])
        if groups.shape[1] == 1:  # a regression decides nothing: its rows are those with a truth
            groups = np.zeros_like(squares)
            groups[:, 0, 0] = _rows_with_truth(states.residuals) / ONE
        return cls(groups, squares)

    def of_row(self, row: int, where: tuple[slice | int, slice | int] = (slice(None), slice(None))) -> float:
        """Rows that a weight of one is worth in some cells of one slice: Σw / Σw²; 0 without any."""
        weights, squares = self.weights[row][where].sum(), self.squares[row][where].sum()
        return float(worth_of_sums(weights, squares))

    @property
    def of_rows(self) -> Floats:
        """The same in all cells of each slice, float64[slices]."""
        return worth_of_sums(self.weights.sum(axis=(1, 2)), self.squares.sum(axis=(1, 2)))


def worth_of_sums(weights: Floats, squares: Floats) -> Floats:
    """Σw / Σw²; 0 without rows, and where their other sums may have left what whole numbers hold."""
    known = (squares > 0) & (weights < MOST_TOGETHER)
    ratio: Floats = np.where(known, weights / np.where(known, squares, 1.0), 0.0)
    return ratio


def _rows_with_truth(residuals: ResidualsState) -> Floats:
    array = residuals.array
    if not array.size:
        return np.zeros(len(array))
    rows: Floats = array[:, :, :, fixed.N].sum(axis=1).max(axis=1)
    return rows
