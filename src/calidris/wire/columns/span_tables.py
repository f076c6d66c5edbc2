"""Spans sorted into tables: columns in the forms they were sent in, not yet typed.

A *wide* span (count > 1) is a table of its own. All *one-row* spans of a request with the same model and the same
names become one table, a row each, so that everything after this works on columns whichever way they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Ints, MatrixColumn
from calidris.wire.columns.embeddings import is_nested, of_lists
from calidris.wire.columns.json_text import parse
from calidris.wire.limits import WireLimits
from calidris.wire.otlp.gate import MAPS
from calidris.wire.otlp.values import Column, Raw
from calidris.wire.rejections import (
    TOO_LONG,
    TOO_MANY_FEATURES,
    UNEQUAL_LENGTH,
    WRONG_TYPE,
    Rejected,
    shown,
)

Columns = Mapping[str, Column]
Features = Mapping[str, Column | MatrixColumn]
_SINGLE: Final = tuple((key, f"{key}.") for key in MAPS)
_COLUMNS: Final = (list, np.ndarray, CodedColumn, MatrixColumn)
_PER_SPAN: Final = frozenset({semconv.ERROR_TYPE})


class Identity(NamedTuple):
    """Whose rows a table holds, and which kind: predictions or labels; ``batch_id`` names the job that made them.

    ``role`` is what the version does beside others; None where nobody said.
    """

    feedback: bool
    name: str
    version: str
    task: str | None
    batch_id: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of n rows as they were sent.

    Attributes:
        identity: whose rows.
        spans: int64[n], the span of each row.
        one_row: each row is a span of its own, so a row can be refused without the others.
        fields: columns by attribute name.
        features: columns and embeddings by feature, of ``ml.features``.
        slices: columns by slice, of ``ml.slices``.
        classes: columns by class, of an ``ml.prediction.score`` that is a map.
        parts: tables of one span each that this one was joined of; none for all others.
    """

    identity: Identity
    spans: Ints
    one_row: bool
    fields: Columns
    features: Features
    slices: Columns
    classes: Columns
    parts: tuple[Table, ...] = field(default=(), kw_only=True)

    def kinds(self) -> list[list[str]]:
        """Kinds of each row's features, class and label: what one-row spans may disagree on."""
        open_ = (semconv.ML_PREDICTION_CLASS, semconv.ML_LABEL)
        columns = [*self.features.values(), *(self.fields[key] for key in open_ if key in self.fields)]
        cells = [listed(column) for column in columns if isinstance(column, list | tuple | np.ndarray)]
        return [[_kind(cell) for cell in row] for row in zip(*cells)]

    def take(self, rows: Sequence[int]) -> Table:
        """The same table for some rows; only for one-row spans."""
        return replace(
            self,
            spans=self.spans[list(rows)],
            fields=_take(self.fields, rows),
            features=_take(self.features, rows),
            slices=_take(self.slices, rows),
            classes=_take(self.classes, rows),
        )


def wide_table(identity: Identity, span: int, rows: int, attributes: Mapping[str, Any], limits: WireLimits) -> Table:
    """The table of one span with several rows.

    Raises:
        Rejected: a column that has another length, a string that is not JSON, too many names, or no column at all
            (a count alone would make rows out of nothing).
    """
    fields, maps = split_maps({key: _opened(key, value) for key, value in attributes.items()})
    per_span = {key: [value] for key, value in fields.items() if key in _PER_SPAN}
    columns = {key: _sized(key, value, rows) for key, value in fields.items() if key not in _PER_SPAN}
    sized = [
        {name: _sized(key, value, rows, name, vectors=key == semconv.ML_FEATURES) for name, value in entries.items()}
        for key, entries in maps.items()
    ]
    if not columns and not any(sized):
        raise Rejected(UNEQUAL_LENGTH, f"ml.prediction.count is {rows}, but there is no column")
    check_names(maps, limits)
    return Table(identity, np.full(rows, span, dtype=np.int64), False, columns | per_span, *sized)


def narrow_table(identity: Identity, spans: Sequence[int], fields: Columns, maps: Mapping[str, Columns]) -> Table:
    """The table of spans with one row each; every column holds one cell per span."""
    return Table(identity, np.array(spans, dtype=np.int64), True, fields, *(maps[key] for key in MAPS))


def split_maps(attributes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Plain attributes, and the entries of each map: those of the map itself and those sent as single attributes.

    >>> split_maps({"ml.features.age": 3, "ml.slices": {"land": "at"}, "ml.label": 1})[1]["ml.features"]
    {'age': 3}

    Raises:
        Rejected: a map attribute that is no map.
    """
    fields: dict[str, Any] = {}
    maps: dict[str, dict[str, Any]] = {key: {} for key in MAPS}
    for key, value in attributes.items():
        if key in maps and isinstance(value, dict):
            maps[key].update(value)
        elif key in maps and key != semconv.ML_PREDICTION_SCORE:
            raise Rejected(WRONG_TYPE, "a map of name to column belongs here", key)
        elif (owner := _owner(key)) is not None:
            maps[owner].setdefault(key[len(owner) + 1 :], value)
        else:
            fields[key] = value
    return fields, maps


def check_names(maps: Mapping[str, Iterable[str]], limits: WireLimits) -> None:
    """Refuse too many names in a map, and names that are too long."""
    for key, entries in maps.items():
        names = list(entries)
        if len(names) > limits.max_names:
            raise Rejected(TOO_MANY_FEATURES, f"{len(names)} names, at most {limits.max_names}", key)
        if max(map(len, names), default=0) > limits.max_text:
            raise Rejected(TOO_LONG, f"a name of more than {limits.max_text} characters", key)


def _owner(key: str) -> str | None:
    return next((owner for owner, prefix in _SINGLE if key.startswith(prefix)), None)


def _opened(key: str, value: Raw) -> Raw:
    """A map, or a score that may be one, sent as a JSON string."""
    if key not in MAPS or type(value) is not str:
        return value
    try:
        opened: Raw = parse(value)
        return opened
    except Rejected as fault:
        raise fault.at(key) from None


def _sized(key: str, value: Raw, rows: int, name: str | None = None, *, vectors: bool = False) -> Any:
    try:
        column = parse(value) if type(value) is str else value
        if vectors and is_nested(column):
            column = of_lists(column)
    except Rejected as fault:
        raise fault.at(_path(key, name)) from None
    if isinstance(column, dict | bytes) or (isinstance(column, MatrixColumn) and not vectors):
        raise Rejected(WRONG_TYPE, "a map or an embedding where a column belongs", _path(key, name))
    length = len(column) if isinstance(column, _COLUMNS) else 1
    if length != rows or not isinstance(column, _COLUMNS):
        raise Rejected(UNEQUAL_LENGTH, f"{length} rows, ml.prediction.count is {rows}", _path(key, name))
    return column


def _path(key: str, name: str | None) -> str:
    """Where a fault is: written only once there is one, because a request has a hundred columns."""
    return key if name is None else f"{key} {shown(name)}"


def listed(column: list[Any] | tuple[Any, ...] | np.ndarray[Any, np.dtype[Any]]) -> Sequence[Any]:
    """The cells of a column of one-row spans."""
    return column.tolist() if isinstance(column, np.ndarray) else column


def _kind(cell: Any) -> str:
    """As in :mod:`calidris.wire.columns.merge`: nothing, string, number, or embedding of so many dimensions."""
    cell = cell[0] if type(cell) is list and cell else cell
    if isinstance(cell, MatrixColumn | list):
        return f"e{len(cell) if isinstance(cell, list) else cell.dimension}"
    return "?" if cell is None else "s" if type(cell) is str or isinstance(cell, CodedColumn) else "n"


def _take(columns: Features, rows: Sequence[int]) -> dict[str, Column]:
    cells = {name: listed(c) for name, c in columns.items() if isinstance(c, list | tuple | np.ndarray)}
    return {name: [column[row] for row in rows] for name, column in cells.items()}
