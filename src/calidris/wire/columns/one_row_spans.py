"""One-row spans gathered into tables: the path that most services take, and so the one that is tuned.

A row costs a few dictionary look-ups here; its values are touched only when :mod:`calidris.wire.columns.batches` makes
columns of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from calidris import semconv
from calidris.wire.columns.json_text import parse_each
from calidris.wire.columns.span_tables import Identity, Table, check_names, narrow_table, split_maps
from calidris.wire.limits import WireLimits
from calidris.wire.otlp.blocks import Block, Cells, joined, picked
from calidris.wire.otlp.gate import MAPS
from calidris.wire.rejections import TOO_MANY_SCHEMAS, WRONG_TYPE, Rejected, shown

_ONLY_MAPS: Final = (semconv.ML_FEATURES, semconv.ML_SLICES)
_NO_MAP: Final[dict[str, Any]] = {}
_NUMBERS: Final = (semconv.ML_PREDICTION_SCORE, f"{semconv.ML_FEATURES}.")
"""Doubles stay an array only where numbers are the usual thing: an array of ids would be refused as a whole."""

_Orders = tuple[tuple[str, ...], ...]


class _Group:
    """Rows with the same names, in one order: of the attributes and of the entries of each map."""

    __slots__ = ("blocks", "identity", "orders", "rows", "spans")

    def __init__(self, identity: Identity, orders: _Orders) -> None:
        self.identity = identity
        self.orders = orders
        self.spans: list[int] = []
        self.rows: list[dict[str, Any]] = []
        self.blocks: list[Block] = []

    @property
    def first(self) -> int:
        """The first of its spans."""
        return min([*self.spans[:1], *(block.spans[0] for block in self.blocks)])

    def reordered(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with the same names in the group's order."""
        ordered = {name: row[name] for name in self.orders[0]}
        for key, order in zip(MAPS, self.orders[1:]):
            if order:
                ordered[key] = {name: row[key][name] for name in order}
        return ordered

    def table(self, limits: WireLimits) -> Table:
        """The rows turned into columns; O(cells), one pass."""
        spans, columns = self._whole()
        entries = {key: columns.pop(key) for key, order in zip(MAPS, self.orders[1:]) if order}
        for key in _ONLY_MAPS:
            columns.pop(key, None)
        fields, maps = split_maps(columns)
        for key, owned in entries.items():
            maps[key].update(owned)
        check_names(maps, limits)
        return narrow_table(self.identity, spans, fields, maps)

    def _whole(self) -> tuple[Sequence[int], dict[str, Any]]:
        """Spans, ascending, and their columns, those of maps as a dictionary."""
        if not self.rows and len(self.blocks) == 1:
            return self.blocks[0].spans, dict(self.blocks[0].columns)
        parts = list(self.blocks)
        if self.rows:
            columns = _columns(self.orders[0], self.rows)
            columns |= {key: _columns(order, columns[key]) for key, order in zip(MAPS, self.orders[1:]) if order}
            parts.append(Block(self.spans, columns))
        spans = [span for part in parts for span in part.spans]
        columns = {name: joined([part.columns[name] for part in parts]) for name in parts[0].columns}
        order = sorted(range(len(spans)), key=spans.__getitem__)
        if order != list(range(len(spans))):
            columns = {name: picked(column, order) for name, column in columns.items()}
        return sorted(spans), columns


class RowSorter:
    """Sorts one-row spans into groups; one per request."""

    def __init__(self, limits: WireLimits) -> None:
        self._limits = limits
        self._groups: dict[tuple[Any, ...], tuple[_Group, bool]] = {}
        self._by_names: dict[tuple[Any, ...], _Group] = {}

    @property
    def groups(self) -> Iterable[_Group]:
        """The groups in order of their first row."""
        return sorted(self._by_names.values(), key=lambda group: group.first)

    def add(self, identity: Identity, span: int, row: dict[str, Any]) -> None:
        """Sort one row in. ``row`` are its attributes, taken over; JSON maps are dictionaries by now.

        Raises:
            Rejected: a map attribute that is no map, or one group too many.
        """
        features = row.get(semconv.ML_FEATURES, _NO_MAP)
        slices = row.get(semconv.ML_SLICES, _NO_MAP)
        score = row.get(semconv.ML_PREDICTION_SCORE)
        if type(features) is not dict or type(slices) is not dict:
            features, slices = _map_or_fault(semconv.ML_FEATURES, row), _map_or_fault(semconv.ML_SLICES, row)
        classes = score if type(score) is dict else _NO_MAP
        orders = (tuple(row), tuple(features), tuple(slices), tuple(classes))
        group, ordered = self._groups.get((identity, orders)) or self._meet(identity, orders)
        group.spans.append(span)
        group.rows.append(row if ordered else group.reordered(row))

    def add_block(self, identity: Identity, spans: list[int], columns: dict[str, Cells]) -> bool:
        """Sort spans in that are alike; ``columns`` are their attributes, taken over.

        Returns:
            False, and nothing done, where a JSON map is none or has other names than its neighbours.
        """
        for key in MAPS:
            column = columns.get(key)
            if column is None or isinstance(column, dict):
                continue
            kinds = set(map(type, column))
            if key in _ONLY_MAPS or not kinds.isdisjoint((str, dict)):
                entries = _entries(list(column)) if kinds in ({str}, {dict}) else None
                if not entries:
                    return False
                columns[key] = entries
        for key, cells in columns.items():
            if isinstance(cells, np.ndarray) and not key.startswith(_NUMBERS):
                columns[key] = cells.tolist()
        orders = (tuple(columns), *(tuple(_names(columns.get(key))) for key in MAPS))
        group, _ = self._groups.get((identity, orders)) or self._meet(identity, orders)
        group.blocks.append(Block(spans, columns))
        return True

    def _meet(self, identity: Identity, orders: _Orders) -> tuple[_Group, bool]:
        """The group of these names in any order, and whether this order is its own; remembered under this order."""
        names = (identity, *map(frozenset, orders))
        group = self._by_names.get(names)
        if group is None:
            most = self._limits.max_schemas
            if len(self._by_names) >= most:
                raise Rejected(TOO_MANY_SCHEMAS, f"more than {most} different sets of names")
            group = self._by_names[names] = _Group(identity, orders)
        known = self._groups[identity, orders] = group, group.orders == orders
        return known


def parse_maps(rows: Sequence[dict[str, Any]]) -> dict[int, Rejected]:
    """Parse, in place, every map of one-row spans that came as a JSON string; the rows at fault, with their fault.

    One parser call for all of them.
    """
    waiting = [(row, key) for row in rows for key in MAPS if type(row.get(key)) is str]
    values = parse_each([row[key] for row, key in waiting])
    for (row, key), value in zip(waiting, values):
        row[key] = value
    if all(type(value) is dict for value in values):
        return {}
    return {place: fault for place, row in enumerate(rows) if (fault := _fault(row)) is not None}


def _entries(cells: list[Any]) -> dict[str, Cells] | None:
    """The columns of maps, or of maps in JSON, that have the same names in the same order; else nothing."""
    values = parse_each(cells) if type(cells[0]) is str else cells
    if set(map(type, values)) != {dict}:
        return None
    names = tuple(values[0])
    if any(tuple(value) != names for value in values):
        return None
    return dict(zip(names, map(list, zip(*[value.values() for value in values]))))


def _names(column: Cells | None) -> Iterable[str]:
    return column if isinstance(column, dict) else ()


def _fault(row: dict[str, Any]) -> Rejected | None:
    found = ((key, row[key]) for key in MAPS if isinstance(row.get(key), Rejected))
    return next((fault.at(key) for key, fault in found), None)


def _map_or_fault(key: str, row: dict[str, Any]) -> dict[str, Any]:
    """The map of a row; one sent without a value is empty."""
    value = row.get(key)
    if value is not None and type(value) is not dict:
        raise Rejected(WRONG_TYPE, f"{shown(value)} is no map of name to column", key)
    return value or _NO_MAP


def _columns(order: Sequence[str], rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return dict(zip(order, zip(*(row.values() for row in rows))))
