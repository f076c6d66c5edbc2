"""One-row spans gathered into tables: the path that most services take, and so the one that is tuned.

A row costs a few dictionary look-ups here; its values are touched only when :mod:`calidris.wire.build` makes
columns of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from calidris import semconv
from calidris.wire.jsontext import parse_each
from calidris.wire.limits import WireLimits
from calidris.wire.reader import MAPS
from calidris.wire.rejections import WRONG_TYPE, Rejected, shown
from calidris.wire.tables import Identity, Table, check_names, narrow_table, split_maps

_EMPTY: Final[dict[str, Any]] = {}
_Names = tuple[str, ...]


class _Group:
    """Rows with the same names: attribute dictionaries, and one dictionary per map, in one order of keys."""

    __slots__ = ("attributes", "identity", "maps", "orders", "spans")

    def __init__(self, identity: Identity, orders: tuple[_Names, ...]) -> None:
        self.identity = identity
        self.orders = orders
        self.spans: list[int] = []
        self.attributes: list[dict[str, Any]] = []
        self.maps: tuple[list[dict[str, Any]], ...] = tuple([] for _ in MAPS)

    def add(self, span: int, attributes: dict[str, Any], maps: Sequence[dict[str, Any]]) -> None:
        """Append a row whose keys are in the group's order."""
        self.spans.append(span)
        self.attributes.append(attributes)
        for rows, entries in zip(self.maps, maps):
            rows.append(entries)

    def table(self, limits: WireLimits) -> Table:
        """The rows turned into columns; O(cells), one pass."""
        fields, maps = split_maps(_columns(self.orders[0], self.attributes))
        for key, order, rows in zip(MAPS, self.orders[1:], self.maps):
            maps[key].update(_columns(order, rows))
        check_names(maps, limits)
        return narrow_table(self.identity, self.spans, fields, maps)


class RowSorter:
    """Sorts one-row spans into groups; one per request."""

    def __init__(self) -> None:
        self._groups: dict[tuple[Any, ...], _Group] = {}
        self._by_names: dict[tuple[Any, ...], _Group] = {}

    @property
    def groups(self) -> Iterable[_Group]:
        """The groups in order of their first row."""
        return self._by_names.values()

    def add(self, identity: Identity, span: int, attributes: dict[str, Any]) -> None:
        """Sort one row in. ``attributes`` is taken over; its maps are dictionaries by now.

        Raises:
            Rejected: a map attribute that is no map.
        """
        maps = [_take_map(key, attributes) for key in MAPS]
        orders = (tuple(attributes), *map(tuple, maps))
        group = self._groups.get((identity, orders))
        if group is None:
            group = self._meet(identity, orders)
        if group.orders != orders:
            attributes, *maps = (
                {name: entries[name] for name in order}
                for order, entries in zip(group.orders, (attributes, *maps), strict=True)
            )
        group.add(span, attributes, maps)

    def _meet(self, identity: Identity, orders: tuple[_Names, ...]) -> _Group:
        """The group of these names in any order, remembered under this order too."""
        group = self._by_names.setdefault((identity, *map(frozenset, orders)), _Group(identity, orders))
        self._groups[identity, orders] = group
        return group


def parse_maps(rows: Sequence[dict[str, Any]]) -> list[Rejected | None]:
    """Parse, in place, every map of one-row spans that came as a JSON string; what is wrong with each row, if anything.

    One parser call for all of them.
    """
    waiting = [(row, key) for row, attributes in enumerate(rows) for key in MAPS if type(attributes.get(key)) is str]
    faults: list[Rejected | None] = [None] * len(rows)
    for (row, key), value in zip(waiting, parse_each([rows[row][key] for row, key in waiting])):
        if type(value) is dict:
            rows[row][key] = value
        else:
            fault = value if isinstance(value, Rejected) else Rejected(WRONG_TYPE, "the JSON is no object")
            faults[row] = fault.at(key)
    return faults


def _take_map(key: str, attributes: dict[str, Any]) -> dict[str, Any]:
    value = attributes.get(key)
    if type(value) is dict:
        return attributes.pop(key)  # type: ignore[no-any-return]
    if value is None or key == semconv.ML_PREDICTION_SCORE:
        if key != semconv.ML_PREDICTION_SCORE:
            attributes.pop(key, None)
        return _EMPTY
    raise Rejected(WRONG_TYPE, f"{shown(value)} is no map of name to column", key)


def _columns(order: _Names, rows: Sequence[dict[str, Any]]) -> dict[str, tuple[Any, ...]]:
    return dict(zip(order, zip(*(row.values() for row in rows))))
