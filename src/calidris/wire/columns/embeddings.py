"""Raw columns to embeddings: n vectors of d numbers, packed or as JSON arrays of arrays.

Vectors of one-row spans come one a cell; what stands beside them under the same name decides whether they go together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, TypeGuard

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, MatrixColumn, NumberColumn
from calidris.batch import Column as Typed
from calidris.wire.columns import convert
from calidris.wire.limits import MAX_DIMENSION, WireLimits
from calidris.wire.otlp.values import Column
from calidris.wire.rejections import BAD_EMBEDDING, WRONG_TYPE, Rejected, shown

Features = Mapping[str, Typed]
Embeddings = Mapping[str, MatrixColumn]


def feature(raw: Column | MatrixColumn) -> Typed | MatrixColumn:
    """A column of whichever kind its values have: what ``convert.typed`` gives, or an embedding.

    Numbers and strings are tried first, so that they pay nothing for this.

    Raises:
        MixedKinds: cells of one-row spans that do not go together.
        Rejected: values that are none of these.
    """
    if isinstance(raw, MatrixColumn):
        return raw
    found = convert.uniform(raw)
    if isinstance(found, NumberColumn | CodedColumn):
        return found
    return joined(found) if any(map(_is_vector, found)) else convert.mixed(found)


def split(columns: Mapping[str, Typed | MatrixColumn]) -> tuple[Features, Embeddings]:
    """Features and embeddings apart."""
    embeddings = {name: column for name, column in columns.items() if isinstance(column, MatrixColumn)}
    return {name: c for name, c in columns.items() if not isinstance(c, MatrixColumn)}, embeddings


def check_size(embeddings: Embeddings, limits: WireLimits) -> None:
    """Refuse a span whose embeddings hold too many numbers together.

    Raises:
        Rejected: they do.
    """
    size = sum(column.values.size for column in embeddings.values())
    if size > limits.max_embedding_values:
        problem = f"{size} numbers in embeddings, at most {limits.max_embedding_values}"
        raise Rejected(BAD_EMBEDDING, problem, semconv.ML_FEATURES)


def is_nested(column: Any) -> TypeGuard[list[Any]]:
    """Whether a column of a span with several rows is an array of arrays: its first value tells.

    >>> is_nested([None, [1.0, 2.0]]), is_nested([1.0, None])
    (True, False)
    """
    if type(column) is not list or not column:
        return False
    first = column[0]
    return type(next((cell for cell in column if cell is not None), None) if first is None else first) is list


def of_lists(rows: Sequence[Any]) -> MatrixColumn:
    """Rows that are each an array of d numbers, or None.

    >>> of_lists([[1, 2.5], None, [3, None]]).dense().tolist()
    [[1.0, 2.5], [nan, nan], [nan, nan]]

    Raises:
        Rejected: something else, arrays of different lengths, or too many dimensions.
    """
    there = np.array([row is not None for row in rows])
    found = [row for row in rows if row is not None]
    lengths = {len(row) if type(row) is list else 0 for row in found}
    if len(lengths) != 1 or not 1 <= min(lengths) <= MAX_DIMENSION:
        raise Rejected(BAD_EMBEDDING, f"arrays of {', '.join(map(str, sorted(lengths)[:3]))} numbers")
    numbers = convert.doubles(list(chain.from_iterable(found)))
    if numbers is None:
        raise Rejected(BAD_EMBEDDING, "something else than numbers in an array")
    return MatrixColumn.of(numbers.reshape(len(found), -1)).spread(there)


def joined(cells: Sequence[Any]) -> MatrixColumn:
    """One column of the cells of one-row spans.

    Raises:
        MixedKinds: vectors of different dimensions, or vectors beside numbers or strings.
        Rejected: cells that can stand nowhere; ``rows`` are all of them.
    """
    vectors = [_vector(cell) for cell in cells]
    faults = {row: vector for row, vector in enumerate(vectors) if isinstance(vector, Rejected)}
    if faults:
        raise Rejected(BAD_EMBEDDING, next(iter(faults.values())).problem, rows=list(faults))
    found = [vector for vector in vectors if isinstance(vector, MatrixColumn)]
    others = [row for row, vector in enumerate(vectors) if vector is False]
    if others or len({vector.dimension for vector in found}) != 1:
        raise convert.MixedKinds(WRONG_TYPE, "embeddings beside something else", rows=others)
    whole = MatrixColumn.of(np.concatenate([vector.dense() for vector in found]))
    infinite = sum(vector.non_finite for vector in found)
    there = np.array([vector is not None for vector in vectors])
    return MatrixColumn(whole.values, whole.valid, infinite).spread(there)


def _is_vector(cell: Any) -> bool:
    return isinstance(cell, MatrixColumn) or (type(cell) is list and len(cell) == 1 and type(cell[0]) is list)


def _vector(cell: Any) -> MatrixColumn | Rejected | bool | None:
    """The vector of a one-row span, None without one, False for a number or a string, or what is wrong with it."""
    if _is_vector(cell):
        try:
            vector = cell if isinstance(cell, MatrixColumn) else of_lists(cell)
        except Rejected as fault:
            return fault
        return vector if len(vector) == 1 else Rejected(BAD_EMBEDDING, f"{len(vector)} rows, ml.prediction.count is 1")
    opened = convert.opened(cell)
    if opened is None:
        return None
    return False if type(opened) in convert.ANY else Rejected(BAD_EMBEDDING, f"{shown(opened)} is no vector")
