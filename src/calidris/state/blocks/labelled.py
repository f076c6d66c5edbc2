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
from calidris.errors import CorruptState
from calidris.state.blocks.groups import GroupsState
from calidris.state.blocks.losses import LossesState
from calidris.state.blocks.residuals import ResidualsState, residual_scales
from calidris.state.blocks.scores import ScoresState
from calidris.state.blocks.sparse import SparseTable
from calidris.state.blocks.table_state import Entries, TableState
from calidris.state.blocks.wide_errors import WideErrorsState
from calidris.state.bounded import row_losses
from calidris.state.spec import Spec
from calidris.state.state_bytes import MAGIC

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
    """

    score: Floats
    right: Ints
    truth: Ints
    decision: Ints
    delay_s: Floats
    slice_rows: Ints | None = None

    def take(self, rows: Mask | Ints) -> ClassRows:
        """Some of the rows, in their order."""
        return ClassRows(
            self.score[rows], self.right[rows], self.truth[rows], self.decision[rows], self.delay_s[rows],
            cut(self.slice_rows, rows),
        )  # fmt: skip

    def entries(self, spec: Spec) -> dict[type[TableState], Entries]:
        """What the rows add to each table."""
        scored = ~np.isnan(self.score)
        slices = cut(self.slice_rows, scored)
        out = {
            ScoresState: ScoresState.place(spec, self.score[scored], self.right[scored], self.delay_s[scored], slices),
            GroupsState: GroupsState.place(spec, self.truth, self.decision, self.delay_s, self.slice_rows),
        }
        if spec.losses:
            out[LossesState] = LossesState.place(spec, self._losses(spec), self.delay_s, self.slice_rows)
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
    """n labelled rows of a regression: finite truths, predictions (NaN is missing), delays and slices as ``ClassRows``."""

    truth: Floats
    prediction: Floats
    delay_s: Floats
    slice_rows: Ints | None = None

    def take(self, rows: Mask | Ints) -> NumberRows:
        """Some of the rows, in their order."""
        return NumberRows(self.truth[rows], self.prediction[rows], self.delay_s[rows], cut(self.slice_rows, rows))

    def entries(self, spec: Spec) -> dict[type[TableState], Entries]:
        """What the rows add to each table; nothing where no baseline has given the output a scale."""
        out: dict[type[TableState], Entries] = {}
        if spec.losses:
            losses = row_losses(spec.losses, self.truth, None, self.prediction)
            out[LossesState] = LossesState.place(spec, losses, self.delay_s, self.slice_rows)
        if residual_scales(spec):
            rows = (self.truth, self.prediction, self.delay_s, self.slice_rows)
            out[ResidualsState] = ResidualsState.place(spec, *rows)
            out[WideErrorsState] = WideErrorsState.place(spec, *rows)
        return out


LabelledRows = ClassRows | NumberRows


def cut(slice_rows: Ints | None, rows: Mask | Ints) -> Ints | None:
    """Some columns of slice rows int64[any, n]."""
    return None if slice_rows is None else slice_rows[:, rows]


class LabelTables:
    """The tables of labelled rows of a pane: touched cells only. Merging is an addition; bytes are exact."""

    __slots__ = ("spec", "tables")

    def __init__(self, spec: Spec, tables: tuple[SparseTable[Any], ...] | None = None) -> None:
        self.spec = spec
        self.tables = tables or tuple(SparseTable(kind, spec) for kind in KINDS)

    @property
    def count(self) -> int:
        """Labelled rows seen."""
        return max(table.count for table in self.tables)

    def table(self, kind: type[TableState]) -> SparseTable[Any]:
        """The table of one kind."""
        return self.tables[KINDS.index(kind)]

    def add(self, rows: LabelledRows) -> None:
        """Count labelled rows; O(rows · log rows) a table."""
        for kind, entries in rows.entries(self.spec).items():
            self.table(kind).add(entries)

    def merge(self, other: LabelTables) -> None:
        """Add the rows of ``other``, which stays untouched.

        Raises:
            IncompatibleState: another spec.
        """
        for mine, theirs in zip(self.tables, other.tables):
            mine.merge(theirs)

    def to_bytes(self) -> bytes:
        """The size of every table, then their bytes, one behind the other."""
        told = self.tables if len(self.tables[-1].cells) else self.tables[:EARLIER]
        parts = [table.to_bytes() for table in told]
        return b"".join([*(_NUMBER.pack(len(part)) for part in parts), *parts])

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The tables that ``to_bytes`` wrote; a kind that an earlier version did not have is empty.

        Raises:
            CorruptState: not such bytes.
            IncompatibleState: bytes of another spec or format version.
        """
        parts = _find_parts(data)
        tables = [SparseTable.from_bytes(kind, spec, part) for kind, part in zip(KINDS, parts)]
        tables += [SparseTable(kind, spec) for kind in KINDS[len(parts) :]]
        return cls(spec, tuple(tables))


def _find_parts(data: bytes) -> list[bytes]:
    """The bytes of each table; how many there are is told by where the first one begins."""
    number = EARLIER if data[_NUMBER.size * EARLIER :].startswith(MAGIC) else len(KINDS)
    start = _NUMBER.size * number
    if len(data) < start:
        raise CorruptState(f"{len(data)} bytes are too few for the tables of a pane")
    sizes = [size for (size,) in _NUMBER.iter_unpack(data[:start])]
    ends = [start, *(start + end for end in accumulate(sizes))]
    if ends[-1] != len(data):
        raise CorruptState(f"the tables of a pane take {ends[-1]} bytes, not {len(data)}")
    return [data[begin:end] for begin, end in pairwise(ends)]


class Decisions(NamedTuple):
    """Decided rows of one slice by true and decided class.

    Attributes:
        counts: int64[truth, decision]. Of several classes the last one stands for all that are not kept apart; where it was
            decided for one of them and one of them was true, only rows of which it was the same one are in here.
        mistaken: rows of which it was not the same one.
    """

    counts: Ints
    mistaken: int = 0

    @property
    def rows(self) -> int:
        """All decided rows."""
        return int(self.counts.sum()) + self.mistaken

    @property
    def right(self) -> int:
        """Rows of which the decided class was the true one."""
        return int(np.trace(self.counts))


@dataclass(frozen=True, slots=True)
class LabelStates:
    """The same as dense states: of a window, or of a baseline."""

    scores: ScoresState
    losses: LossesState
    groups: GroupsState
    residuals: ResidualsState
    wide_errors: WideErrorsState

    @classmethod
    def empty(cls, spec: Spec) -> Self:
        """No labelled row."""
        return cls(
            ScoresState(spec),
            LossesState(spec),
            GroupsState(spec),
            ResidualsState(spec),
            WideErrorsState(spec),
        )

    @classmethod
    def of(cls, tables: LabelTables) -> Self:
        """The rows of some tables."""
        out = cls.empty(tables.spec)
        out.add(tables)
        return out

    @property
    def all(self) -> tuple[TableState, ...]:
        """Every state, in the order of ``KINDS``."""
        return (self.scores, self.losses, self.groups, self.residuals, self.wide_errors)

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
        unclear = self.groups.spec.task == semconv.ML_MODEL_TASK_MULTICLASS and int(counts[-1, -1])
        if not unclear:
            return Decisions(counts)
        wrong = self._wrong(slice_row, delay)
        if wrong is None:
            return None
        mistaken = wrong - (int(counts.sum()) - int(np.trace(counts)))
        counts[-1, -1] -= mistaken
        return Decisions(counts, mistaken)

    def _wrong(self, slice_row: int, delay: int | None) -> int | None:
        """Decided rows that were wrong, by the loss; None where it is not kept."""
        names = [loss.name for loss in self.losses.spec.losses]
        if "error" not in names:
            return None
        found = self.losses.bins(slice_row, delay)
        return round(float(found.total[names.index("error")].sum()))

    def add(self, tables: LabelTables) -> None:
        """Add the rows of a pane's tables, in place.

        Raises:
            IncompatibleState: another spec.
        """
        for state, table in zip(self.all, tables.tables):
            table.add_to(state)
