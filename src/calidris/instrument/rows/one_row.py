"""One row as a call brings it: a mapping, a sequence, a table of one row or a thing with fields, to values by name or by place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

from calidris.instrument.foreign import (
    MAX_NAME,
    PLAIN,
    Refused,
    guarded,
    is_mapping,
    is_sequence,
    is_stream,
    is_table,
    is_text,
    listed,
    name_of,
    offers,
    unwrapped,
)

MAX_WIDTH: Final = 2_000
"""Widest row that is copied, and the most names that the receiver takes of a span."""

_FIELDS: Final = ("_fields", "__dataclass_fields__", "__pydantic_fields__", "__struct_fields__")
"""Where types keep the names of what they consist of: named tuples, dataclasses, pydantic's and msgspec's models."""

Read = dict[Any, Any] | tuple[Any, ...]
"""Values by name, or by place."""


@guarded
def read(row: Any, wanted: Sequence[str] | None = None) -> Read:
    """Copy a row: about 1 µs for a mapping of 25 names of which all are wanted.

    Args:
        row: of the application.
        wanted: names to take where the row has names; all of them without.

    Raises:
        Refused: ``no_row`` for text, a buffer, a stream, or several rows; ``features_not_copied`` for more than `MAX_WIDTH`.
    """
    kind = type(row)
    if kind is dict:
        return _read_mapping(row, wanted)
    if kind is list or kind is tuple:
        return _take_by_place(row)
    if is_text(row) or is_stream(kind):
        raise Refused("no_row")
    names = _find_fields(row)
    if names and not (issubclass(kind, tuple) and wanted is not None and set(names).isdisjoint(wanted)):
        return _take_by_name(names, lambda name: getattr(row, name, None), wanted)
    if is_table(kind):
        if row.shape[0] != 1:
            raise Refused("no_row")
        return _take_by_name(listed(row.columns, 100 * MAX_WIDTH), row.__getitem__, wanted)
    if offers(kind, "dtype") and getattr(row.dtype, "names", None):
        return _read_record(row)
    if is_mapping(kind):
        return _read_mapping(row, wanted)
    if not is_sequence(row):
        raise Refused("no_row")
    return _take_by_place(row)


def is_usual(row: dict[Any, Any]) -> bool:
    """True for the usual row of a model that declares nothing: names that can be sent, values that are no containers.

    Only the first value is looked at: a table of one row has containers everywhere, and a stray one is unpacked later.
    """
    if len(row) > MAX_WIDTH:
        return False
    try:
        names = "".join(row)
    except TypeError:
        return False
    first = type(next(iter(row.values()), None))
    return len(names) <= MAX_NAME * 16 and names.isascii() and (first in PLAIN or not hasattr(first, "__len__"))


def default_names(width: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """The given names where their number fits, else ``x0``, ``x1`` and so on.

    Raises:
        Refused: a row is not so wide.
    """
    if names is not None and len(names) == width:
        return tuple(map(str, names))
    if width > MAX_WIDTH:
        raise Refused("features_not_copied")
    return _NUMBERED[:width]


_NUMBERED: Final = tuple(f"x{at}" for at in range(MAX_WIDTH))


def _find_fields(row: Any) -> list[str]:
    for where in _FIELDS:
        names = getattr(type(row), where, None)
        if type(names) in (tuple, dict) and names:
            return list(names)
    return []


def _read_mapping(row: Any, wanted: Sequence[str] | None) -> Read:
    asks = wanted is None or offers(type(row), "iloc")
    names = list(islice(row.keys(), MAX_WIDTH + 1)) if asks else None
    if wanted is not None and names and set(map(type, names)) == {int}:
        return _take_by_place(row)  # a Series that nobody gave names
    return _take_by_name(names, row.get if offers(type(row), "get") else _make_getter(row), wanted)


def _make_getter(row: Any) -> Callable[[Any], Any]:
    def get(name: Any) -> Any:
        try:
            return row[name]
        except (KeyError, IndexError):
            return None

    return get


def _take_by_name(
    names: Sequence[Any] | None, get: Callable[[Any], Any], wanted: Sequence[str] | None
) -> dict[Any, Any]:
    """Values by name; of the wanted ones those that are there, where that is known."""
    own: Sequence[str]
    if wanted is None:
        if names is None or len(names) > MAX_WIDTH:
            raise Refused("features_not_copied")
        own = [name_of(name) for name in names]
    elif names is None:
        own = names = wanted
    else:
        known = {name_of(name): name for name in names}
        own = [name for name in wanted if name in known]
        names = [known[name] for name in own]
    return dict(zip(own, unwrapped([get(name) for name in names])))


def _read_record(row: Any) -> dict[Any, Any]:
    """A record of a structured array, or an array of one."""
    values = row.tolist()
    if type(values) is list and len(values) == 1:
        values = values[0]
    if type(values) is not tuple:
        raise Refused("no_row")
    return dict(zip(row.dtype.names, unwrapped(list(values))))


def _take_by_place(row: Any) -> tuple[Any, ...]:
    if offers(type(row), "nnz", "toarray"):
        if row.shape[0] != 1 or row.shape[-1] > MAX_WIDTH:
            raise Refused("features_not_copied")
        row = row.toarray()
    if type(row) in (list, tuple) and 0 < len(row) <= MAX_WIDTH and type(row[0]) in PLAIN:
        return tuple(unwrapped(list(row)))  # the usual one
    values = listed(row, MAX_WIDTH)
    if len(values) == 1 and is_sequence(values[0]) and not is_mapping(type(values[0])):
        values = listed(values[0], MAX_WIDTH)  # the [[...]] that scikit-learn asks for
    return tuple(unwrapped(values))
