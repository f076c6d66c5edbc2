"""What Evidently takes a column for when nobody tells it, and why it has nothing to say of some."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
import pyarrow as pa

from calidris.batch import CodedColumn, Column

FEW_INTEGERS = 10
"""Integers of at most so many values are categories."""
MOSTLY_DISTINCT = 0.5
"""Strings of which more than this share are distinct are text."""

_INTEGERS = (pa.types.is_int8, pa.types.is_int16, pa.types.is_int32, pa.types.is_int64)
_STRINGS = (pa.types.is_string, pa.types.is_large_string)


class ColumnKind(StrEnum):
    """What that tool takes a column for."""

    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    TEXT = "text"  # it trains a classifier: not reproduced
    OTHER = "other"  # dates, lists, unsigned integers, …: it leaves them out


class Left(StrEnum):
    """Why a column has no verdict."""

    TEXT = "text: that tool trains a classifier, which is not reproduced"
    OTHER = "a type that tool leaves out"
    GONE = "not in the window: that tool leaves it out"
    NEW = "not in the baseline: that tool stops with an error"
    EMPTY = "no values on one side: that tool stops with an error"
    CHANGED = "numbers on one side, strings on the other: not reproduced"

    @property
    def decides(self) -> bool:
        """Whether that tool's verdict on the table may depend on such a column."""
        return self in (Left.TEXT, Left.NEW, Left.EMPTY, Left.CHANGED)


def kind_of(stored: pa.DataType, column: Column) -> ColumnKind:
    """The kind that Evidently 0.7 infers for a column, as pandas reads the file.

    It looks at the *window's* column alone: integers with at most ten values are categories there, whatever the baseline
    holds. Integers with missing rows are floats in pandas, so numbers; booleans with missing rows are left out. O(n).

    Args:
        stored: type of the column in the window's file.
        column: its values.

    >>> from calidris.batch import NumberColumn
    >>> kind_of(pa.int64(), NumberColumn.of([1, 2, 2])), kind_of(pa.float64(), NumberColumn.of([1, 2, 2]))
    (<ColumnKind.CATEGORICAL: 'categorical'>, <ColumnKind.NUMERICAL: 'numerical'>)
    """
    if pa.types.is_dictionary(stored):
        return ColumnKind.CATEGORICAL
    if isinstance(column, CodedColumn):
        return _of_strings(column) if any(test(stored) for test in _STRINGS) else ColumnKind.OTHER
    whole = bool(column.valid.all())
    if pa.types.is_boolean(stored):
        return ColumnKind.CATEGORICAL if whole else ColumnKind.OTHER
    if any(test(stored) for test in _INTEGERS):
        few = whole and len(np.unique(column.values)) <= FEW_INTEGERS
        return ColumnKind.CATEGORICAL if few else ColumnKind.NUMERICAL
    return ColumnKind.NUMERICAL if pa.types.is_floating(stored) else ColumnKind.OTHER


def _of_strings(column: CodedColumn) -> ColumnKind:
    held = np.bincount(column.codes[column.valid], minlength=1)
    if not held.any():
        return ColumnKind.OTHER
    return ColumnKind.TEXT if np.count_nonzero(held) > held.sum() * MOSTLY_DISTINCT else ColumnKind.CATEGORICAL
