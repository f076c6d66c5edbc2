"""Kinds at their limits; the usual ones are in the record."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from calidris.batch import CodedColumn, NumberColumn
from calidris.compat import ColumnKind, kind_of

HALF = CodedColumn.of(["a", "b", "a", "b"])


@pytest.mark.parametrize(
    ("stored", "column", "kind"),
    [
        (pa.int64(), NumberColumn.of(np.arange(10.0)), ColumnKind.CATEGORICAL),
        (pa.int64(), NumberColumn.of(np.arange(11.0)), ColumnKind.NUMERICAL),
        (pa.int64(), NumberColumn.of([1.0, float("nan")]), ColumnKind.NUMERICAL),
        (pa.uint8(), NumberColumn.of([1.0]), ColumnKind.OTHER),
        (pa.decimal128(5, 2), NumberColumn.of([1.0]), ColumnKind.OTHER),
        (pa.bool_(), NumberColumn.of([1.0, 0.0]), ColumnKind.CATEGORICAL),
        (pa.bool_(), NumberColumn.of([1.0, float("nan")]), ColumnKind.OTHER),
        (pa.float32(), NumberColumn.of([1.0]), ColumnKind.NUMERICAL),
        (pa.string(), HALF, ColumnKind.CATEGORICAL),
        (pa.string(), CodedColumn.of(["a", "b", "c", "b"]), ColumnKind.TEXT),
        (pa.string(), CodedColumn.of([None, None]), ColumnKind.OTHER),
        (pa.dictionary(pa.int32(), pa.string()), CodedColumn.of(["a", "b"]), ColumnKind.CATEGORICAL),
        (pa.timestamp("us"), HALF, ColumnKind.OTHER),
    ],
)
def test_kind(stored: pa.DataType, column: NumberColumn | CodedColumn, kind: ColumnKind) -> None:
    assert kind_of(stored, column) is kind
