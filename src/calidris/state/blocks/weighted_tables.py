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

    KIND: ClassVar[int] = 11
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
        once = np.full(len(truth), ONE)
        placed = super().place(
            spec,
            truth,
            decision,
            delay_s,
            slice_rows,
            once if units is None else units,
        )
        squares = square(placed.sums[0])
        return Entries(placed.cells, squares)


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

    def __init__(
        self,
        spec: Spec,
        tables: Tables | None = None,
    ) -> None:
        self.spec = spec
        self.tables = tables or _make_empty(spec)

    @classmethod
    def at_one(
        cls,
        spec: Spec,
        tables: Tables,
    ) -> Self:
        """Rows that each count once, from the tables that count them by row."""
        kept = tables[: len(OF_ROWS)]
        weighted = tuple(_at_one(table) for table in kept)
        squares = _squares_at_one(spec, tables)
        return cls(spec, (*weighted, squares))

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        total = 0
        for table in self.tables:
            total += table.cells.nbytes
            total += table.sums.nbytes
        return total

    def table(self, kind: type[TableState]) -> SparseTable[Any]:
        """The table of one kind."""
        place = KINDS.index(kind)
        return self.tables[place]

    def merge(self, other: WeightedTables) -> None:
        """Add the rows of ``other``, which stays untouched.

        Raises:
            IncompatibleState: another spec.
        """
        for mine, theirs in zip(self.tables, other.tables):
            mine.merge(theirs)

    def take_off(self, other: WeightedTables) -> None:
        """Take off rows that are in here, which stay as they are in ``other``."""
        for mine, theirs in zip(self.tables, other.tables):
            negative = theirs.copy()
            negative.sums *= -1
            mine.merge(negative)

    def to_bytes(self) -> bytes:
        """The bytes of every table, one behind the other."""
        parts = [table.to_bytes() for table in self.tables]
        sizes = _SIZES.pack(*map(len, parts))
        return sizes + b"".join(parts)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The tables that ``to_bytes`` wrote.

        Raises:
            CorruptState: not such bytes.
            IncompatibleState: bytes of another spec or format version.
        """
        parts = _split(data)
        tables = (
            SparseTable.from_bytes(
                kind,
                spec,
                part,
            )
            for kind, part in zip(KINDS, parts)
        )
        return cls(spec, tuple(tables))


def _make_empty(spec: Spec) -> Tables:
    return tuple(SparseTable(kind, spec) for kind in KINDS)


def _split(data: bytes) -> list[bytes]:
    """The bytes of each table."""
    size = len(data)
    if size < _SIZES.size:
        raise CorruptState(f"{size} bytes are too few for weighted tables")
    sizes = _SIZES.unpack_from(data)
    ends: list[int] = np.cumsum([_SIZES.size, *sizes]).tolist()
    if ends[-1] != size:
        raise CorruptState(f"weighted tables take {ends[-1]} bytes, not {size}")
    return [data[a:b] for a, b in pairwise(ends)]


def _at_one(table: SparseTable[Any]) -> SparseTable[Any]:
    out = table.copy()
    out.sums[:, OF_ROWS[table.table]] *= ONE
    return out


def _squares_at_one(spec: Spec, tables: Tables) -> SparseTable[SquaresState]:
    """A square of one for each row: of a regression from the rows with a truth, else from the decisions."""
    _, _, groups, residuals = tables[: len(OF_ROWS)]
    cells = groups.cells
    rows = groups.sums[:, 0]
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        cells, rows = _rows_of_regression(residuals)
    sums = np.zeros((len(rows), 2), dtype=np.int64)
    sums[:, 0] = rows
    return SparseTable(
        SquaresState,
        spec,
        cells,
        sums,
    )


def _rows_of_regression(residuals: SparseTable[ResidualsState]) -> tuple[Ints, Ints]:
    """Cells of slice and delay, of one truth and one decision, and the labelled rows in each."""
    width = len(VARIABLES)
    has_truth = residuals.cells % width == TRUTH
    place = residuals.cells[has_truth] // width
    rows = residuals.sums[has_truth, fixed.N]
    # One class, and behind its decision the place of rows without one.
    return place * 2, rows


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
        groups = states.groups.array.sum(axis=1)
        parts = states.squares.array.sum(axis=1)
        squares = squares_of(
            parts[..., 0],
            parts[..., 1],
        )
        # A regression decides nothing: its rows are those with a truth.
        if groups.shape[1] == 1:
            groups[:, 0, 0] = _rows_with_truth(states.residuals)
        return cls(groups / ONE, squares)

    @property
    def of_rows(self) -> Floats:
        """The same in all cells of each slice, float64[slices]."""
        weights = self.weights.sum(axis=(1, 2))
        squares = self.squares.sum(axis=(1, 2))
        return worth_of_sums(weights, squares)


def worth_of_sums(weights: Floats, squares: Floats) -> Floats:
    """Σw / Σw²; 0 without rows, and where their other sums may have left what whole numbers hold."""
    known = (squares > 0) & (weights < MOST_TOGETHER)
    divisor = np.where(known, squares, 1.0)
    ratio = weights / divisor
    return np.where(known, ratio, 0.0)


def _rows_with_truth(residuals: ResidualsState) -> Ints:
    array = residuals.array
    if not array.size:
        return np.zeros(len(array), dtype=np.int64)
    by_variable = array[..., fixed.N].sum(axis=1)
    rows: Ints = by_variable.max(axis=1)
    return rows
