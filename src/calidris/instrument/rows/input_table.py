"""Copies of what a call was given: the host may change or reuse its input right after.

Works on numpy arrays, DataFrames, sparse matrices, lists of rows and mappings of columns, without importing any of them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from calidris.instrument.foreign import (
    PLAIN,
    Refused,
    are_plain,
    each,
    guarded,
    is_mapping,
    is_ndarray,
    is_stream,
    is_table,
    is_text,
    labels_of,
    listed,
    name_of,
    offers,
    rows_in,
    unwrapped,
)
from calidris.instrument.rows.one_row import MAX_COLUMNS, MAX_WIDTH, NUMBERS, Read, default_names, is_numeric, read

MAX_BYTES = 256 * 1024 * 1024
"""Largest input that is copied whole: as much as may wait by default."""

MAX_READ = 4_000_000
"""Elements that are read of a container that says that it has more."""

NUMBER_BYTES = 8
OBJECT_BYTES = 60
"""Of a Python object, with its place in a list."""


class Table:
    """n rows of named columns, owned by us. A numeric matrix stays whole, so that copying it is one operation.

    Attributes:
        names: of the columns.
        matrix: a 2-D numeric array, or None.
        columns: one array or list a name where there is no matrix.
        refused: rows that could not be read; they are there, and empty.
    """

    __slots__ = ("columns", "matrix", "names", "refused", "rows")

    def __init__(
        self, names: Sequence[str], rows: int, matrix: Any = None, columns: Sequence[Any] = (), refused: int = 0
    ) -> None:
        self.names = tuple(names)
        self.rows = rows
        self.matrix = matrix
        self.columns = columns
        self.refused = refused

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
    def repeated(self) -> Sequence[str]:
        """Names that several columns have: only the last of those leaves."""
        if len(set(self.names)) == len(self.names):
            return ()
        return [name for name, columns in Counter(self.names).items() if columns > 1]

    @property
    def cells(self) -> int:
        """How many values it holds."""
        return self.rows * len(self.names)

    @guarded
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
            Refused: none of the names is a column.
        """
        if names is None or tuple(names) == self.names:
            return self
        picked = [at for at, name in enumerate(self.names) if name in names]
        if not picked:
            raise Refused("features_not_copied")
        return Table([self.names[at] for at in picked], self.rows, columns=[self.column(at) for at in picked])


class TooLarge(Refused):
    """The input has more bytes than are copied.

    Attributes:
        fit: how many of its rows would be.
    """

    def __init__(self, fit: int) -> None:
        super().__init__("features_not_copied")
        self.fit = fit


@guarded
def table_of(
    data: Any, names: Sequence[str] | None = None, wanted: Sequence[str] | None = None, rows: int | None = None
) -> Table:
    """A copy of an input, with names from the input itself, else ``names``, else ``x0``, ``x1`` and so on.

    Cost: one copy of the values. Objects inside object columns are not copied.

    Args:
        data: of the application.
        names: of columns that have none of their own.
        wanted: columns to take where they have names of their own; all of them without.
        rows: how many there are, where the input was handed over to be read: then also what can be read only once is read.

    Raises:
        Refused: ``no_row`` for what has no rows and columns, ``features_not_copied`` for more than `MAX_WIDTH` columns.
        TooLarge: it has more than `MAX_BYTES`.
    """
    kind = type(data)
    if is_ndarray(kind):  # the usual input first
        return _copy_array(data, names)
    if is_text(data) or (is_stream(kind) and rows is None):
        raise Refused("no_row")
    if is_table(kind):
        return _copy_frame(data, wanted)
    if is_mapping(kind) and not offers(kind, "dtype"):
        return _copy_columns(data, wanted, rows)
    if offers(kind, "nnz", "toarray"):
        height, width = data.shape
        _check(height, width, NUMBER_BYTES)
        return _copy_array(data.toarray(), names)
    if offers(kind, "filled", "mask") and data.dtype.kind in NUMBERS:
        return _copy_array(data.astype(float).filled(float("nan")), names)
    if offers(kind, "__array__"):
        data = data.__array__()
        return _copy_array(data, names) if is_ndarray(type(data)) else _refuse("no_row")
    return _read_rows(
        listed(data, min(rows_in(data) or 0, MAX_READ) if rows is None else rows, once=rows is not None), names, wanted
    )


def column_of(values: Any, rows: int, *, once: bool = True) -> Any:
    """A column of our own of so many values: an array is copied, a Series gives its array, anything else becomes a list.

    Never reads more than one value beyond ``rows``.

    Raises:
        Refused: it has another length, or is no column.
    """
    if is_ndarray(type(values)) and values.ndim == 1 and len(values) == rows and values.dtype.kind in NUMBERS:
        return values.copy()
    return _read_column(values, rows, once)


@guarded
def _read_column(values: Any, rows: int, once: bool) -> Any:
    found = _copy_column(values, rows, once)
    if len(found) != rows:
        raise Refused("malformed")
    return found


def _copy_column(values: Any, rows: int, once: bool) -> Any:
    kind = type(values)
    if is_table(kind) and values.shape[1:] == (1,):
        values, kind = values.to_numpy(), type(None)
    if kind is list or kind is tuple or is_text(values) or not offers(kind, "dtype", "shape"):
        return unwrapped(listed(values, rows, once=once))
    if offers(kind, "filled", "mask") and values.dtype.kind in NUMBERS:
        values = values.astype(float).filled(float("nan"))
    if values.shape[0] != rows:
        raise Refused("malformed")
    if offers(kind, "to_numpy"):
        values = values.to_numpy()
    if getattr(values.dtype, "kind", "O") not in NUMBERS or not offers(type(values), "copy", "reshape"):
        return unwrapped(listed(values, rows))
    if values.ndim == 2 and values.shape[1] == 1:
        return values.reshape(-1).copy()
    return values.copy() if values.ndim == 1 else _refuse("malformed")


def _refuse(reason: str) -> Any:
    raise Refused(reason)


def _check(rows: int, width: int, cell_bytes: int = OBJECT_BYTES) -> None:
    """Refuse what is too wide, or too large to be copied, before it is."""
    if width > MAX_WIDTH:
        raise Refused("features_not_copied")
    row_bytes = max(1, width * cell_bytes)
    if rows * row_bytes > MAX_BYTES:
        raise TooLarge(MAX_BYTES // row_bytes)


def _copy_array(data: Any, names: Sequence[str] | None) -> Table:
    if data.dtype.names:
        return _copy_columns({name: data[name] for name in data.dtype.names}, None, len(data))
    if data.ndim == 1:
        data = data.reshape(-1, 1)
    if data.ndim != 2:
        raise Refused("no_row")
    rows, width = data.shape
    _check(rows, width, NUMBER_BYTES if data.dtype.kind in NUMBERS else OBJECT_BYTES)
    own = default_names(width, names)
    if data.dtype.kind in NUMBERS:
        return Table(own, rows, matrix=data.copy())
    return Table(own, rows, columns=[listed(data[:, at], rows) for at in range(width)])


def _copy_frame(frame: Any, wanted: Sequence[str] | None) -> Table:
    labels = labels_of(frame, MAX_COLUMNS)
    names = list(map(name_of, labels))
    rows = len(frame)
    picked = [at for at, name in enumerate(names) if wanted is None or name in wanted]
    _check(rows, len(picked), _cell_bytes(frame))
    if len(picked) == len(names) and is_numeric(frame):
        matrix = frame.to_numpy()
        if matrix.dtype.kind in NUMBERS:
            return Table(names, rows, matrix=matrix.copy())
    columns = [frame.iloc[:, at] if offers(type(frame), "iloc") else frame[labels[at]] for at in picked]
    return Table([names[at] for at in picked], rows, columns=[column_of(column, rows) for column in columns])


def _cell_bytes(frame: Any) -> int:
    """Mean bytes of a value of a table, by the types of its columns."""
    kinds = [getattr(dtype, "kind", "O") for dtype in getattr(frame, "dtypes", ())]
    return _mean_of_kinds(kinds)


def _mean_of_kinds(kinds: list[str]) -> int:
    sizes = [NUMBER_BYTES if kind in NUMBERS else OBJECT_BYTES for kind in kinds]
    return sum(sizes) // len(sizes) if sizes else OBJECT_BYTES


def _copy_columns(data: Mapping[Any, Any], wanted: Sequence[str] | None, rows: int | None) -> Table:
    found = _choose_columns(data, wanted)
    once = rows is not None
    rows = next(map(rows_in, found.values()), 0) if rows is None else rows
    if rows is None:
        raise Refused("no_row")
    if rows * len(found) * OBJECT_BYTES > MAX_BYTES:
        _check(rows, len(found), _mean_bytes(found))
    return Table(list(found), rows, columns=[column_of(values, rows, once=once) for values in found.values()])


def _choose_columns(data: Mapping[Any, Any], wanted: Sequence[str] | None) -> dict[str, Any]:
    """Columns by name, those that are wanted, not copied yet."""
    if wanted and type(data) is dict and len(data) == len(wanted) and tuple(data) == wanted:
        return dict(zip(wanted, data.values()))
    found: dict[str, Any] = {}
    known = frozenset(wanted or ())
    for label in islice(data, MAX_COLUMNS):
        name = name_of(label)
        if wanted is None or name in known:
            found[name] = data[label]
        if len(found) > MAX_WIDTH:
            raise Refused("features_not_copied")
    return found


def _mean_bytes(columns: dict[str, Any]) -> int:
    """Mean bytes of a value of such columns."""
    kinds = [getattr(getattr(values, "dtype", None), "kind", "O") for values in columns.values()]
    return _mean_of_kinds(kinds)


def _read_rows(rows: list[Any], names: Sequence[str] | None, wanted: Sequence[str] | None) -> Table:
    if rows and {list, tuple}.issuperset(map(type, rows)) and len(set(map(len, rows))) == 1:
        return _read_lists(rows, names)
    found, refused = each(iter(rows), lambda row: _read_row(row, wanted), None)
    kinds = Counter(map(type, found))
    if kinds[dict] and kinds[dict] >= kinds[tuple]:
        return _join_named(found, refused)
    # What most rows are decides: a stray one costs itself alone.
    found = [row if isinstance(row, tuple) else None for row in found]
    refused += kinds[dict]
    widths = Counter(len(row) for row in found if row is not None)
    usual = max(widths, key=widths.__getitem__, default=len(names or ()))
    width = len(names) if names is not None and widths[len(names)] else usual
    _check(len(rows), width)
    blank = (None,) * width
    placed = [row if row is not None and len(row) == width else blank for row in found]
    refused += sum(count for other, count in widths.items() if other != width)
    columns = list(map(list, zip(*placed))) if placed else [[] for _ in blank]
    return Table(default_names(width, names), len(rows), columns=columns, refused=refused)


def _read_lists(rows: list[Any], names: Sequence[str] | None) -> Table:
    """The usual list of rows: all of one length.

    Only the first row is looked at: where its values are plain all are taken as they are, and a stray container is unpacked
    when it is packed.
    """
    width = len(rows[0])
    _check(len(rows), width)
    columns = list(map(list, zip(*rows)))
    if not are_plain(rows[0]):
        columns = list(map(unwrapped, columns))
    return Table(default_names(width, names), len(rows), columns=columns)


def _read_row(row: Any, wanted: Sequence[str] | None) -> Read:
    """A row of a list of rows; a bare number is a row of one."""
    kind = type(row)
    if (kind in PLAIN and kind is not str) or (offers(kind, "item", "dtype") and getattr(row, "ndim", 1) == 0):
        return (row,)
    return read(row, wanted)


def _join_named(rows: Sequence[Any], refused: int) -> Table:
    names: dict[str, None] = {}
    blank: dict[str, Any] = {}
    dicts = [row if isinstance(row, dict) else blank for row in rows]
    for row in dicts:
        names |= dict.fromkeys(row)
        _check(len(rows), len(names))
    refused += sum(isinstance(row, tuple) for row in rows)
    return Table(list(names), len(rows), columns=[[row.get(name) for row in dicts] for name in names], refused=refused)


def _content(column: Any) -> Any:
    return column.tobytes() if hasattr(column, "tobytes") else tuple(map(repr, column))


def _joined(parts: list[Any]) -> Any:
    if all(hasattr(part, "dtype") for part in parts):
        return sys.modules["numpy"].concatenate(parts)
    joined: list[Any] = []
    for part in parts:
        joined.extend(part.tolist() if hasattr(part, "tolist") else part)
    return joined
