"""Copies of what a call was given: the host may change or reuse its input right after.

Works on numpy arrays, DataFrames, sparse matrices, lists of rows and mappings of columns, without importing any of them.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

MAX_CELLS = 4_000_000
"""Largest input that is copied whole, 32 MB of numbers."""

MAX_WIDTH = 2_000
"""Widest row that is copied."""


class TooLarge(Exception):
    """The input has more cells than a guest may copy; its features are left out and that is counted."""


class Table:
    """n rows of named columns, owned by us. A numeric matrix stays whole, so that copying it is one operation.

    Attributes:
        names: of the columns.
        matrix: a 2-D numeric array, or None.
        columns: one array or list a name where there is no matrix.
    """

    __slots__ = ("columns", "matrix", "names", "rows")

    def __init__(self, names: Sequence[str], rows: int, matrix: Any = None, columns: Sequence[Any] = ()) -> None:
        self.names = tuple(names)
        self.rows = rows
        self.matrix = matrix
        self.columns = columns

    def column(self, at: int) -> Any:
        """One column."""
        return self.columns[at] if self.matrix is None else self.matrix[:, at]

    def part(self, a: int, b: int) -> Table:
        """Rows a to b. Arrays are not copied."""
        matrix = None if self.matrix is None else self.matrix[a:b]
        return Table(self.names, b - a, matrix, [column[a:b] for column in self.columns])

    def as_dict(self) -> dict[str, Any]:
        """Name to column."""
        return {name: self.column(at) for at, name in enumerate(self.names)}

    @property
    def cells(self) -> int:
        """How many values it holds."""
        return self.rows * len(self.names)

    def fingerprint(self) -> int:
        """Equal for equal content; different content almost never agrees."""
        if self.matrix is not None:
            return hash((self.names, self.matrix.shape, self.matrix.tobytes()))
        return hash((self.names, tuple(_content(column) for column in self.columns)))

    @classmethod
    def concat(cls, tables: Sequence[Table]) -> Table:
        """Rows of tables with the same names, one after the other."""
        first = tables[0]
        rows = sum(table.rows for table in tables)
        if len(tables) == 1:
            return first
        if all(table.matrix is not None for table in tables):
            return cls(first.names, rows, matrix=sys.modules["numpy"].concatenate([table.matrix for table in tables]))
        columns = [_joined([table.column(at) for table in tables]) for at in range(len(first.names))]
        return cls(first.names, rows, columns=columns)

    def only(self, names: Sequence[str] | None) -> Table:
        """Some of the columns, in their order; all of them without ``names``.

        Raises:
            ValueError: none of the names is a column.
        """
        if names is None or tuple(names) == self.names:
            return self
        picked = [at for at, name in enumerate(self.names) if name in names]
        if not picked:
            raise ValueError(f"none of {tuple(names)} among {self.names}")
        return Table([self.names[at] for at in picked], self.rows, columns=[self.column(at) for at in picked])


def table_of(data: Any, names: Sequence[str] | None = None) -> Table:
    """A copy of an input, with names from the input itself, else ``names``, else ``x0``, ``x1`` and so on.

    Cost: one copy of the values. Objects inside object columns are not copied.

    Raises:
        TooLarge: more than `MAX_CELLS` cells or `MAX_WIDTH` columns.
        TypeError: nothing that has rows and columns.
    """
    if type(data).__name__ == "ndarray":  # the usual input first
        return _of_array(data, names)
    if isinstance(data, Mapping):
        return _of_columns(list(map(str, data)), list(data.values()))
    if hasattr(data, "columns") and hasattr(data, "__getitem__"):
        return _of_frame(data)
    if hasattr(data, "nnz") and hasattr(data, "toarray"):
        _check(*data.shape)
        data = data.toarray()
    elif hasattr(data, "__array__"):
        data = data.__array__()
    else:
        return _of_rows(list(data), names)
    return _of_array(data, names)


def default_names(width: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """The given names where their number fits, else ``x0``, ``x1`` and so on."""
    if names is not None and len(names) == width:
        return tuple(map(str, names))
    return _numbered(width)


@functools.lru_cache(maxsize=64)
def _numbered(width: int) -> tuple[str, ...]:
    return tuple(f"x{at}" for at in range(width))


def rows_of(data: Any) -> int:
    """How many rows an input has, without copying it.

    >>> rows_of({"age": [1, 2, 3]}), rows_of([[1, 2]])
    (3, 1)
    """
    shape = getattr(data, "shape", None)
    if shape:
        return int(shape[0])
    return len(next(iter(data.values()), ())) if isinstance(data, Mapping) else len(data)


def copied(values: Any) -> Any:
    """A column of our own: an array is copied, a Series gives its array, anything else becomes a list."""
    if isinstance(values, (list, tuple)):
        return list(values)
    if hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if hasattr(values, "dtype"):
        return values.copy() if values.dtype.kind in "fiub" else values.tolist()
    return list(values)


def _check(rows: int, width: int) -> None:
    if width > MAX_WIDTH or rows * width > MAX_CELLS:
        raise TooLarge(f"{rows} rows of {width} columns")


def _of_array(data: Any, names: Sequence[str] | None) -> Table:
    if data.ndim == 1:
        data = data.reshape(-1, 1)
    if data.ndim != 2:
        raise TypeError(f"an input of {data.ndim} dimensions has no columns")
    rows, width = data.shape
    _check(rows, width)
    own = default_names(width, names)
    if data.dtype.kind in "fiub":
        return Table(own, rows, matrix=data.copy())
    return Table(own, rows, columns=[data[:, at].tolist() for at in range(width)])


def _of_frame(frame: Any) -> Table:
    names = [str(name) for name in frame.columns]
    rows = len(frame)
    _check(rows, len(names))
    dtypes = getattr(frame, "dtypes", ())
    if names and len({str(dtype) for dtype in dtypes}) == 1 and getattr(next(iter(dtypes)), "kind", "O") in "fiub":
        matrix = frame.to_numpy()
        if matrix.dtype.kind in "fiub":
            return Table(names, rows, matrix=matrix.copy())
    picked = [frame.iloc[:, at] if hasattr(frame, "iloc") else frame[name] for at, name in enumerate(frame.columns)]
    return Table(names, rows, columns=[copied(column) for column in picked])


def _of_columns(names: list[str], columns: list[Any]) -> Table:
    rows = len(columns[0]) if columns else 0
    _check(rows, len(names))
    if any(len(column) != rows for column in columns):
        raise TypeError("columns of different lengths")
    return Table(names, rows, columns=[copied(column) for column in columns])


def _of_rows(rows: list[Any], names: Sequence[str] | None) -> Table:
    if not rows:
        return Table(tuple(names or ()), 0, columns=[[] for _ in names or ()])
    if isinstance(rows[0], Mapping):
        own = tuple(dict.fromkeys(key for row in rows for key in row))
        _check(len(rows), len(own))
        return Table([str(key) for key in own], len(rows), columns=[[row.get(key) for row in rows] for key in own])
    if not hasattr(rows[0], "__len__") or isinstance(rows[0], str):
        rows = [(value,) for value in rows]
    width = len(rows[0])
    _check(len(rows), width)
    if any(len(row) != width for row in rows):
        raise TypeError("rows of different lengths")
    lists = [row.tolist() if hasattr(row, "tolist") else row for row in rows]
    return Table(default_names(width, names), len(rows), columns=[list(column) for column in zip(*lists)])


def _content(column: Any) -> Any:
    return column.tobytes() if hasattr(column, "tobytes") else tuple(map(repr, column))


def _joined(parts: list[Any]) -> Any:
    if all(hasattr(part, "dtype") for part in parts):
        return sys.modules["numpy"].concatenate(parts)
    joined: list[Any] = []
    for part in parts:
        joined.extend(part.tolist() if hasattr(part, "tolist") else part)
    return joined
