"""G: what was decided against what was true, per slice. Feeds fairness, performance of several classes, label shift.

Decisions are the explicit ones where there are any, and the score against the threshold where there are none.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Column, Floats, Ints, NumberColumn
from calidris.config.class_names import class_text
from calidris.state.blocks.table_state import DELAYS, Entries, TableState, delay_buckets, over_slices
from calidris.state.spec import Spec

MAX_CLASSES = 20
"""Classes that are kept apart, the first ones of the spec; all others are counted together."""

OTHER_CLASSES = "(other)"
"""What they are called. As of slices: no class is likely to have brackets for a name, and many are called "other"."""


class GroupsState(TableState):
    """Confusion counts, int64[slice, delay, truth, decision].

    A binary task has the classes 0 and 1, any other one the spec's first ``MAX_CLASSES`` and the others together; the last
    decision is "no decision". Rows that are of the others on both sides need not agree: ``LabelStates.decisions`` tells.

    >>> state = GroupsState(Spec())
    >>> state.update(truth=np.array([1, 0, 0]), decision=np.array([1, 1, -1]), delay_s=np.zeros(3))
    >>> state.confusion().tolist(), state.undecided().tolist()
    ([[0, 1], [0, 1]], [1, 0])
    """

    KIND: ClassVar[int] = 4
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """(slices, delay buckets, true classes, decided classes and none)."""
        k = len(class_names(spec))
        return (spec.slice_count, DELAYS, k, k + 1)

    @classmethod
    def counting(cls, spec: Spec) -> Ints:
        """All cells of row 0 of the slice axis."""
        return np.arange(cls.size(spec) // spec.slice_count)

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
        """Where n labelled rows go; see ``update``. With weights (``units_of``), what they add by those."""
        k = len(class_names(spec))
        if len(truth) and not (truth.min() >= 0 and truth.max() < k and decision.min() >= -1 and decision.max() < k):
            raise ValueError(f"a true class is 0 to {k - 1}, a decided one too, or -1 where there is none")
        decided = np.where(decision < 0, k, decision)
        cells = (delay_buckets(delay_s) * k + truth) * (k + 1) + decided
        each = np.ones((1, len(truth)), np.int64) if units is None else units[None]
        return over_slices(Entries(cells, each), slice_rows, DELAYS * k * (k + 1))

    def update(self, truth: Ints, decision: Ints, delay_s: Floats, slice_rows: Ints | None = None) -> None:
        """Add n labelled rows.

        Args:
            truth: codes of the true classes, int64[n], as ``class_codes`` gives them; none of them -1.
            decision: codes of the decided ones, int64[n], as ``decision_codes`` gives them; -1 is no decision.
            delay_s: seconds from prediction to label, float64[n].
            slice_rows: int64[any, n] as ``Spec.slice_rows`` or ``Spec.cross`` give them; -1 is a missing value.

        Raises:
            ValueError: a code that is no class; nothing is added then.
        """
        self.add(self.place(self.spec, truth, decision, delay_s, slice_rows))

    def confusion(self, slice_row: int = 0, delay: int | None = None) -> Ints:
        """Decided rows of one slice, int64[truth, decision]; all delays, or up to bucket ``delay``."""
        return self._sum(slice_row, delay)[:, :-1]

    def undecided(self, slice_row: int = 0, delay: int | None = None) -> Ints:
        """Rows without a decision, int64[truth]."""
        return self._sum(slice_row, delay)[:, -1]

    def _sum(self, slice_row: int, delay: int | None) -> Ints:
        part = self.array[slice_row] if delay is None else self.array[slice_row, : delay + 1]
        sums: Ints = part.sum(axis=0)
        return sums


def class_names(spec: Spec) -> tuple[str, ...]:
    """What each code of a class is: "0" and "1" of a binary task, else the kept classes and `OTHER_CLASSES`."""
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        return ("0", "1")
    return (*spec.classes[:MAX_CLASSES], OTHER_CLASSES)


def class_codes(spec: Spec, column: Column) -> Ints:
    """Code of each row's class, int64[n]; -1 where it is missing.

    Of a binary task 1 is the spec's positive class and 0 any other value. Numbers and texts of one value are one class.

    >>> class_codes(Spec(positive="yes"), CodedColumn.of(["yes", "no", None])).tolist()
    [1, 0, -1]
    >>> class_codes(Spec(task="multiclass", classes=("2", "cat")), NumberColumn.of([2.0, 7.0])).tolist()
    [0, 2]
    """
    if isinstance(column, NumberColumn):
        values, inverse = np.unique(column.values, return_inverse=True)
        column = CodedColumn(tuple(map(str, values.tolist())), np.where(column.valid, inverse, -1).astype(np.int32))
    names = class_names(spec)
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        index, rest = {class_text(spec.positive): 1}, 0
    else:
        # Of names that are one class the first is its code.
        index, rest = {class_text(name): i for i, name in reversed(list(enumerate(names[:-1])))}, len(names) - 1
    codes = np.array([*(index.get(class_text(level), rest) for level in column.levels), -1], dtype=np.int64)
    return codes[column.codes]


def decision_codes(spec: Spec, decision: Column | None, score: NumberColumn | None, n: int) -> Ints:
    """Code of each row's decided class, int64[n]; -1 where nothing was decided.

    A row of a binary task that has no explicit decision is decided by its score against the threshold.
    """
    codes = np.full(n, -1, dtype=np.int64) if decision is None else class_codes(spec, decision)
    if spec.task != semconv.ML_MODEL_TASK_BINARY or score is None:
        return codes
    by_score = np.where(score.valid, score.values >= spec.threshold, -1)
    return np.where(codes < 0, by_score, codes)
