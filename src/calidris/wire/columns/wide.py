"""Packed spans of one model, one after the other, as one table: each column gets its type once, not once a span.

Only where nothing can tell the difference: the same names in the same order, every column packed the same way and with few
enough levels, all spans with a trace id or none, none that failed. What is wrong with such a table is looked for in its parts.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import numpy as np

from calidris.batch import CodedColumn
from calidris.wire.columns.batches import Origin
from calidris.wire.columns.merge import strings
from calidris.wire.columns.tables import Table


def joined(tables: Sequence[Table], origin: Origin) -> list[Table]:
    """The same tables, neighbours that fit made one; their ``parts`` are what they were made of."""
    out: list[Table] = []
    for form, neighbours in groupby(tables, lambda table: _form(table, origin)):
        group = list(neighbours)
        out += group if form is None else [_join(group)]
    return out


def _form(table: Table, origin: Origin) -> Hashable:
    """What tables have to agree on; None for one that stays alone."""
    if table.one_row or origin.failed[table.spans[0]]:
        return None
    most = origin.limits.max_levels
    forms = [_forms(columns, most) for columns in (table.fields, table.features, table.slices, table.classes)]
    if any(form is None for form in forms):
        return None
    return table.identity, origin.trace_ids[int(table.spans[0])] is None, *forms


def _forms(columns: Mapping[str, Any], most: int) -> tuple[tuple[str, str | None], ...] | None:
    found = tuple((name, _packing(column, most)) for name, column in columns.items())
    return None if any(packing is None for _, packing in found) else found


def _packing(column: Any, most: int) -> str | None:
    if isinstance(column, np.ndarray):
        return str(column.dtype.str)
    return "coded" if isinstance(column, CodedColumn) and len(column.levels) <= most else None


def _join(tables: list[Table]) -> Table:
    if len(tables) == 1:
        return tables[0]
    return replace(
        tables[0],
        spans=np.concatenate([table.spans for table in tables]),
        fields=_columns([table.fields for table in tables]),
        features=_columns([table.features for table in tables]),
        slices=_columns([table.slices for table in tables]),
        classes=_columns([table.classes for table in tables]),
        parts=tuple(tables),
    )


def _columns(maps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {name: _column([columns[name] for columns in maps]) for name in maps[0]}


def _column(parts: list[Any]) -> Any:
    return strings(parts) if isinstance(parts[0], CodedColumn) else np.concatenate(parts)
