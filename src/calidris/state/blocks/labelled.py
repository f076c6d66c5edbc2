"""Labelled rows, coded once, and the tables that they are counted in.

::

    binary, multiclass   score, right, truth, decision  ──►  scores C, losses L, groups G
    regression           truth, prediction              ──►  losses L, residuals, wide errors
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Self

import numpy as np

from calidris import semconv
from calidris.batch import Floats, Ints, Mask
from calidris.errors import CorruptState, IncompatibleState
from calidris.state.blocks.groups import GroupsState
from calidris.state.blocks.losses import LossesState
from calidris.state.blocks.residuals import ResidualsState, residual_scales
from calidris.state.blocks.scores import ScoresState
from calidris.state.blocks.sparse import SparseTable
from calidris.state.blocks.table_state import Entries, TableState
from calidris.state.blocks.weighted_tables import SquaresState, WeightedStates, WeightedTables, Worth
from calidris.state.blocks.wide_errors import WideErrorsState
from calidris.state.bounded import row_losses
from calidris.state.spec import Spec
from calidris.state.state_bytes import MAGIC
from calidris.state.weights import ONE

KINDS: tuple[type[TableState], ...] = (ScoresState, LossesState, GroupsState, ResidualsState, WideErrorsState)
EARLIER = 4
"""Kinds of the first version. Where nothing is in the others, bytes are as they were."""
_NUMBER = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class ClassRows:
    """n labelled rows of a task with classes.

    Attributes:
        score: probability of the positive class, or of the decided one; float64[n], NaN is missing.
        right: what the score speaks of came true, 0 or 1: the outcome is the positive class, or the decided one.
        truth: code of the true class, ``class_codes``.
        decision: code of the decided class, ``decision_codes``; -1 is none.
        delay_s: seconds from prediction to label.
        slice_rows: int64[any, n] from ``Spec.cross``, or None.
        units: weights, int64[n] from ``units_of``; None where each row counts once.
    """

    score: Floats
    right: Ints
    truth: Ints
    decision: Ints
    delay_s: Floats
    slice_rows: Ints | None = None
    units: Ints | None = None

    def take(self, rows: Mask | Ints) -> ClassRows:
        """Some of the rows, in their order."""
        return ClassRows(
            self.score[rows], self.right[rows], self.truth[rows], self.decision[rows], self.delay_s[rows],
            cut(self.slice_rows, rows), None if self.units is None else self.units[rows],
        )  # fmt: skip

    def entries(self, spec: Spec, units: Ints | None = None) -> dict[type[TableState], Entries]:
        """What the rows add to each table, by row or by weights int64[n]; by weights also to their squares."""
        scored = ~np.isnan(self.score)
        slices, of_scored = cut(self.slice_rows, scored), None if units is None else units[scored]
        score, right, delay_s = self.score[scored], self.right[scored], self.delay_s[scored]
        decided = (self.truth, self.decision, self.delay_s, self.slice_rows)
        out = {
            ScoresState: ScoresState.place(spec, score, right, delay_s, slices, of_scored),
            GroupsState: GroupsState.place(spec, *decided, units),
        }
        if spec.losses:
            out[LossesState] = LossesState.place(spec, self._losses(spec), self.delay_s, self.slice_rows, units)
        if units is not None:
            out[SquaresState] = SquaresState.place(spec, *decided, units)
        return out

    def _losses(self, spec: Spec) -> Floats:
        if spec.task == semconv.ML_MODEL_TASK_BINARY:
            decided = np.where(self.decision < 0, np.nan, self.decision)
            return row_losses(spec.losses, self.truth.astype(np.float64), decided, self.score)
        # Not by codes: two classes that are not kept apart have one.
        decided = np.where(self.decision < 0, np.nan, self.right)
        return row_losses(spec.losses, np.ones(len(self.truth)), decided)


@dataclass(frozen=True, slots=True)
class NumberRows:
    """n labelled rows of a regression: finite truths, predictions (NaN is missing), delays, slices and weights as ``ClassRows``."""

    truth: Floats
    prediction: Floats
    delay_s: Floats
    slice_rows: Ints | None = None
    units: Ints | None = None

    def take(self, rows: Mask | Ints) -> NumberRows:
        """Some of the rows, in their order."""
        return NumberRows(
            self.truth[rows], self.prediction[rows], self.delay_s[rows], cut(self.slice_rows, rows),
            None if self.units is None else self.units[rows],
        )  # fmt: skip

    def entries(self, spec: Spec, units: Ints | None = None) -> dict[type[TableState], Entries]:
        """As of ``ClassRows``; nothing where no baseline has given the output a scale."""
        out: dict[type[TableState], Entries] = {}
        placed = (self.delay_s, self.slice_rows, units)
        if spec.losses:
            losses = row_losses(spec.losses, self.truth, None, self.prediction)
            out[LossesState] = LossesState.place(spec, losses, *placed)
        if residual_scales(spec):
            out[ResidualsState] = ResidualsState.place(spec, self.truth, self.prediction, *placed)
            if units is None:
                out[WideErrorsState] = WideErrorsState.place(spec, self.truth, self.prediction, *placed[:2])
            else:  # by weight there are the exact sums only
                one = np.zeros(len(self.truth), dtype=np.int64)
                out[SquaresState] = SquaresState.place(spec, one, one, *placed)
        return out


LabelledRows = ClassRows | NumberRows


def cut(slice_rows: Ints | None, rows: Mask | Ints) -> Ints | None:
    """Some columns of slice rows int64[any, n]."""
    return None if slice_rows is None else slice_rows[:, rows]


def _units_of(rows: LabelledRows) -> Ints:
    """Weights of rows: each counts once where none has another one."""
    return np.full(len(rows.delay_s), ONE) if rows.units is None else rows.units


class LabelTables:
    """The tables of labelled rows of a pane: touched cells only. Merging is an addition; bytes are exact.

    Once a row has a weight other than one, all of them are held by weight too, in ``weighted``.
    """

    __slots__ = ("spec", "tables", "weighted")

    def __init__(
        self,
        spec: Spec,
        tables: tuple[SparseTable[Any], ...] | None = None,
        weighted: WeightedTables | None = None,
    ) -> None:
        self.spec = spec
        self.tables = tables or tuple(SparseTable(kind, spec) for kind in KINDS)
        self.weighted = weighted

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        plain = sum(table.cells.nbytes + table.sums.nbytes for table in self.tables)
        return plain + (0 if self.weighted is None else self.weighted.nbytes)

    def by_weight(self) -> WeightedTables:
        """The rows by weight: each once where none has another one."""
        return self.weighted or WeightedTables.at_one(self.spec, self.tables)

    @property
    def count(self) -> int:
        """Labelled rows seen."""
        return max(table.count for table in self.tables)

    def table(self, kind: type[TableState]) -> SparseTable[Any]:
        """The table of one kind."""
        return self.tables[KINDS.index(kind)]

    def add(self, rows: LabelledRows) -> None:
        """Count labelled rows; O(rows · log rows) a table."""
        if rows.units is not None:
            # Before they are counted by row: those of before are taken from there.
            self.weighted = self.by_weight()
        for kind, entries in rows.entries(self.spec).items():
            self.table(kind).add(entries)
        if self.weighted is not None:
            for kind, entries in rows.entries(self.spec, _units_of(rows)).items():
                self.weighted.table(kind).add(entries)

    def take_off(self, rows: LabelledRows) -> None:
        """Take off labelled rows that were added before, exactly.

        Raises:
            ValueError: they were not.
        """
        for kind, entries in rows.entries(self.spec).items():
            self.table(kind).take_off(entries)
        if self.weighted is not None:
            for kind, entries in rows.entries(self.spec, _units_of(rows)).items():
                self.weighted.table(kind).take_off(entries)

    def merge(self, other: LabelTables) -> None:
        """Add the rows of ``other``, which stays untouched.

        Raises:
            IncompatibleState: another spec.
        """
        if self.weighted is not None or other.weighted is not None:
            weighted = self.by_weight()
            weighted.merge(other.by_weight())
            self.weighted = weighted
        for mine, theirs in zip(self.tables, other.tables):
            mine.merge(theirs)

    def to_bytes(self) -> bytes:
        """The size of every table, then their bytes, one behind the other, and behind them what is held by weight."""
        told = self.tables if len(self.tables[-1].cells) else self.tables[:EARLIER]
        parts = [table.to_bytes() for table in told]
        weighted = [] if self.weighted is None else [self.weighted.to_bytes()]
        return b"".join([*(_NUMBER.pack(len(part)) for part in parts), *parts, *weighted])

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The tables that ``to_bytes`` wrote; a kind that an earlier version did not have is empty.

        Raises:
            CorruptState: not such bytes.
            IncompatibleState: bytes of another spec or format version.
        """
        parts, behind = _find_parts(data)
        tables = [SparseTable.from_bytes(kind, spec, part) for kind, part in zip(KINDS, parts)]
        tables += [SparseTable(kind, spec) for kind in KINDS[len(parts) :]]
        return cls(spec, tuple(tables), WeightedTables.from_bytes(spec, behind) if behind else None)


def _find_parts(data: bytes) -> tuple[list[bytes], bytes]:
    """The bytes of each table, and those behind them; how many tables there are is told by where the first one begins."""
    number = EARLIER if data[_NUMBER.size * EARLIER :].startswith(MAGIC) else len(KINDS)
    start = _NUMBER.size * number
    if len(data) < start:
        raise CorruptState(f"{len(data)} bytes are too few for the tables of a pane")
    sizes = [size for (size,) in _NUMBER.iter_unpack(data[:start])]
    ends = [start, *(start + end for end in accumulate(sizes))]
    if ends[-1] > len(data):
        raise CorruptState(f"the tables of a pane take {ends[-1]} bytes, not {len(data)}")
    return [data[begin:end] for begin, end in pairwise(ends)], data[ends[-1] :]


class Decisions(NamedTuple):
    """Decided rows of one slice by true and decided class; whole numbers but where rows carry weights.

    Attributes:
        counts: [truth, decision]. Of several classes the last one stands for all that are not kept apart; where it was
            decided for one of them and one of them was true, only rows of which it was the same one are in here.
        mistaken: rows of which it was not the same one.
    """

    counts: Ints
    mistaken: int = 0

    @property
    def rows(self) -> int:
        """All decided rows."""
        rows: int = self.counts.sum().item()
        return rows + self.mistaken

    @property
    def right(self) -> int:
        """Rows of which the decided class was the true one."""
        right: int = np.trace(self.counts).item()
        return right


@dataclass(frozen=True, slots=True)
class LabelStates:
    """The same as dense states: of a window, or of a baseline.

    Attributes:
        scores: scored rows.
        losses: rows by their losses.
        groups: rows by truth and decision.
        residuals: what a regression got wrong.
        weighted: all of these by weight; None where each row counts once.
        worth: where these are rows by weight as so many as they are worth: how many that is. ``effective_labels`` makes such.
    """

    scores: ScoresState
    losses: LossesState
    groups: GroupsState
    residuals: ResidualsState
    wide_errors: WideErrorsState
    weighted: WeightedStates | None = None
    worth: Worth | None = None

    @classmethod
    def empty(cls, spec: Spec, weighted: bool = False) -> Self:
        """No labelled row; ``weighted`` where rows will have weights."""
        return cls(
            ScoresState(spec),
            LossesState(spec),
            GroupsState(spec),
            ResidualsState(spec),
            WideErrorsState(spec),
            WeightedStates.empty(spec) if weighted else None,
        )

    @classmethod
    def of(cls, tables: LabelTables) -> Self:
        """The rows of some tables."""
        out = cls.empty(tables.spec, tables.weighted is not None)
        out.add(tables)
        return out

    @property
    def all(self) -> tuple[TableState, ...]:
        """Every state, in the order of ``KINDS``."""
        return (self.scores, self.losses, self.groups, self.residuals, self.wide_errors)

    @property
    def every(self) -> tuple[TableState, ...]:
        """Those, and what is held by weight."""
        return (*self.all, *(self.weighted or ()))

    @property
    def count(self) -> int:
        """Labelled rows seen."""
        return max(state.count for state in self.all)

    def decisions(self, slice_row: int = 0, delay: int | None = None) -> Decisions | None:
        """Decided rows of one slice; all delays, or up to bucket ``delay``.

        Two classes that are not kept apart have one code and need not be one class. The loss "error" was counted by their names,
        so what it has beyond the mistakes that codes show are mistakes between such classes.

        Returns:
            None where there are rows of such classes and no such loss: nobody knows how many of them are right.
        """
        counts = self.groups.confusion(slice_row, delay)
        unclear = self.groups.spec.task == semconv.ML_MODEL_TASK_MULTICLASS and counts[-1, -1] > 0
        if not unclear:
            return Decisions(counts)
        wrong = self._wrong(slice_row, delay)
        if wrong is None:
            return None
        decisions = Decisions(counts)
        mistaken = wrong - (decisions.rows - decisions.right)
        counts[-1, -1] -= mistaken
        return Decisions(counts, mistaken)

    def _wrong(self, slice_row: int, delay: int | None) -> int | None:
        """Decided rows that were wrong, by the loss; None where it is not kept."""
        names = [loss.name for loss in self.losses.spec.losses]
        if "error" not in names:
            return None
        found = self.losses.bins(slice_row, delay)
        total = float(found.total[names.index("error")].sum())
        # Rows are whole where each counts once.
        return round(total) if self.groups.array.dtype.kind == "i" else total  # type: ignore[return-value]

    def add(self, tables: LabelTables) -> None:
        """Add the rows of a pane's tables, in place.

        Raises:
            IncompatibleState: another spec, or weights where there is no room for them.
        """
        if self.weighted is None and tables.weighted is not None:
            raise IncompatibleState("labelled rows with weights, and a state without")
        for state, table in zip(self.all, tables.tables):
            table.add_to(state)
        for state, table in zip(self.weighted or (), tables.by_weight().tables if self.weighted else ()):
            table.add_to(state)
