"""One row as a call brings it: a mapping, a sequence, a table of one row or a thing with fields, to values by name or by place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final

from calidris.instrument.foreign import (
    MAX_NAME,
    Refused,
    are_plain,
    asked_once,
    guarded,
    is_container,
    is_mapping,
    is_ndarray,
    is_plain,
    is_sequence,
    is_stream,
    is_table,
    is_text,
    labels_of,
    listed,
    name_of,
    offers,
    unwrapped,
)

MAX_WIDTH: Final = 2_000
"""Widest row that is copied, and the most names that the receiver takes of a span."""

NUMBERS: Final = "fiub"
"""Kinds of numpy types whose values are numbers."""

MAX_COLUMNS: Final = 100 * MAX_WIDTH
"""Names of a table that are looked at, to find those that the model declares."""

_FIELDS: Final = (
    "_fields",
    "__dataclass_fields__",
    "__pydantic_fields__",
    "__struct_fields__",
)
"""Where types keep the names of what they consist of: named tuples, dataclasses, pydantic's and msgspec's models."""

Read = dict[Any, Any] | tuple[Any, ...]
"""Values by name, or by place."""

Wanted = Sequence[str] | None
"""Names to take where a row has names; all of them without."""

_Reader = Callable[[Any, Wanted], Read]
_Getter = Callable[[Any], Any]


@guarded
def read(row: Any, wanted: Wanted = None) -> Read:
    """Copy a row: about 1 µs for a mapping of 25 names of which all are wanted.

    Args:
        row: of the application.
        wanted: names to take where the row has names; all of them without.

    Raises:
        Refused: ``no_row`` for text, a buffer, a stream, or several rows; ``features_not_copied`` for more than `MAX_WIDTH`.
    """
    if is_text(row):
        raise Refused("no_row")
    copy = _choose_reader(type(row))
    return copy(row, wanted)


@asked_once
def _choose_reader(kind: type) -> _Reader:
    """What reads rows of a type. The order matters: a named tuple is a sequence too, a table and a Series are mappings."""
    if kind is list or kind is tuple:
        return _read_places
    if is_ndarray(kind):
        return _read_numbers
    if is_stream(kind):
        return _refuse
    if _list_fields(kind):
        return _read_fields
    if is_table(kind):
        return _read_table
    if offers(kind, "dtype"):
        return _read_array
    return _read_mapping if is_mapping(kind) else _read_places


def _refuse(row: Any, wanted: Wanted) -> Read:
    raise Refused("no_row")


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
    if not names.isascii() or len(names) > MAX_NAME * 16:
        return False
    for first in row.values():
        return is_plain(first) or not is_container(first)
    return True


def usual_places(row: Any) -> tuple[Any, ...] | None:
    """The usual row by place, copied by some calls into C: a list, or numbers in numpy's own array. None for any other.

    Only the first value is looked at: where that is plain, a stray container is unpacked when it is packed.
    """
    kind = type(row)
    if kind is list or kind is tuple:
        if len(row) == 1 and type(row[0]) is list:
            (row,) = row
        if not 0 < len(row) <= MAX_WIDTH:
            return None
        first = row[0]
        return tuple(row) if type(first) is float or is_plain(first) else None
    return usual_numbers(row) if is_ndarray(kind) else None


def usual_numbers(row: Any) -> tuple[Any, ...] | None:
    """One row of numbers of numpy's own array, copied: also the ``[[...]]`` that scikit-learn asks for."""
    if row.size > MAX_WIDTH or row.dtype.kind not in NUMBERS:
        return None
    if row.ndim == 1:
        return tuple(row.tolist())
    is_one = row.ndim == 2 and len(row) == 1
    return tuple(row.tolist()[0]) if is_one else None


def default_names(width: int, names: Sequence[str] | None) -> tuple[str, ...]:
    """The given names, which are `name_of`'s, where their number fits, else ``x0``, ``x1`` and so on.

    Raises:
        Refused: a row is not so wide.
    """
    if names is not None and len(names) == width:
        return tuple(names)
    if width > MAX_WIDTH:
        raise Refused("features_not_copied")
    return _NUMBERED[:width]


_NUMBERED: Final = tuple(f"x{at}" for at in range(MAX_WIDTH))


def _read_fields(row: Any, wanted: Wanted) -> Read:
    """A thing with fields. A named tuple of other names than the wanted ones is read by place, as any tuple is."""
    fields = _list_fields(type(row))
    is_tuple = isinstance(row, tuple)
    if is_tuple and wanted is not None and set(fields).isdisjoint(wanted):
        return _read_places(row, wanted)

    def get(name: str) -> Any:
        return getattr(row, name, None)

    return _take_by_name(fields, get, wanted)


@asked_once
def _list_fields(kind: type) -> tuple[str, ...]:
    for where in _FIELDS:
        names = getattr(kind, where, None)
        if type(names) in (tuple, dict) and names:
            return tuple(names)
    return ()


def _read_table(row: Any, wanted: Wanted) -> Read:
    if row.shape[0] != 1:
        raise Refused("no_row")
    names = labels_of(row, MAX_COLUMNS)
    get = row.__getitem__
    if is_numeric(row):
        # One copy of the whole row: of a table each column is an object of its own, made when it is asked for.
        get = _copy_values(row, names) or get
    return _take_by_name(names, get, wanted)


def _copy_values(row: Any, names: Sequence[Any]) -> _Getter | None:
    """What gives the values of a copy by name; None where each must be asked for, because they are too many or share names."""
    try:
        values = listed(row, MAX_WIDTH)
    except Refused:
        return None
    if is_table(type(row)):
        (values,) = values
    found = dict(zip(names, values))
    if len(found) < max(len(names), len(values)):
        return None
    return found.__getitem__


def is_numeric(table: Any) -> bool:
    """True where all columns are of one type of numbers, so that they are one matrix."""
    given = getattr(table, "dtypes", ())
    dtypes = set(islice(given, MAX_COLUMNS))
    if len(dtypes) != 1:
        return False
    (dtype,) = dtypes
    return getattr(dtype, "kind", "O") in NUMBERS


def _read_array(row: Any, wanted: Wanted) -> Read:
    """An array, a record of one, or a Series."""
    if getattr(row.dtype, "names", None):
        return _read_record(row)
    if is_mapping(type(row)):
        return _read_mapping(row, wanted)
    return _read_places(row, wanted)


def _read_numbers(row: Any, wanted: Wanted) -> Read:
    """One row of numbers in numpy's own array; any other array as arrays are read."""
    values = usual_numbers(row)
    return _read_array(row, wanted) if values is None else values


def _read_record(row: Any) -> dict[Any, Any]:
    """A record of a structured array, or an array of one."""
    values = row.tolist()
    if type(values) is list and len(values) == 1:
        values = values[0]
    if type(values) is not tuple:
        raise Refused("no_row")
    names = row.dtype.names
    values = unwrapped(list(values))
    return dict(zip(names, values))


def _read_mapping(row: Any, wanted: Wanted) -> Read:
    kind = type(row)
    if offers(kind, "iloc"):
        return _read_series(row, wanted)
    get = _choose_getter(row)
    if wanted is not None:
        return _take_wanted(wanted, get)
    names = _list_names(row)
    return _take_all(names, get)


def _read_series(row: Any, wanted: Wanted) -> Read:
    """A Series by its names; by place where nobody gave it any."""
    names = _list_names(row)
    if wanted is not None and set(map(type, names)) == {int}:
        return _read_places(row, wanted)
    get = _copy_values(row, names) or _choose_getter(row)
    return _take_by_name(names, get, wanted)


def _list_names(row: Any) -> list[Any]:
    names = islice(row.keys(), MAX_WIDTH + 1)
    return list(names)


def _choose_getter(row: Any) -> _Getter:
    """What gives a value by name, or None where there is none of that name."""
    if offers(type(row), "get"):
        own: _Getter = row.get
        return own

    def get(name: Any) -> Any:
        try:
            return row[name]
        except (KeyError, IndexError):
            return None

    return get


def _take_by_name(
    names: Sequence[Any],
    get: _Getter,
    wanted: Wanted,
) -> dict[Any, Any]:
    """Values by name: of the wanted ones those that are there, else all."""
    if wanted is None:
        return _take_all(names, get)
    known = {name_of(name): name for name in names}
    found = [name for name in wanted if name in known]
    values = [get(known[name]) for name in found]
    values = unwrapped(values)
    return dict(zip(found, values))


def _take_all(names: Sequence[Any], get: _Getter) -> dict[Any, Any]:
    if len(names) > MAX_WIDTH:
        raise Refused("features_not_copied")
    values = unwrapped(list(map(get, names)))
    own_names = map(name_of, names)
    return dict(zip(own_names, values))


def _take_wanted(wanted: Sequence[str], get: _Getter) -> dict[Any, Any]:
    """All wanted values of a row that is not asked for its names: it may have no end of them."""
    values = unwrapped(list(map(get, wanted)))
    return dict(zip(wanted, values))


def _read_places(row: Any, wanted: Wanted) -> tuple[Any, ...]:
    """A sequence, an array or a sparse row, each value at its place."""
    if not is_sequence(row):
        raise Refused("no_row")
    if offers(type(row), "nnz", "toarray"):
        row = _fill(row)
    values = listed(row, MAX_WIDTH)
    if are_plain(values):
        return tuple(values)
    if len(values) == 1 and _is_row(values[0]):
        # The [[...]] that scikit-learn asks for.
        values = listed(values[0], MAX_WIDTH)
    return tuple(unwrapped(values))


def _is_row(value: Any) -> bool:
    if is_mapping(type(value)):
        return False
    return is_sequence(value)


def _fill(row: Any) -> Any:
    """A sparse row with its zeros."""
    rows, width = row.shape[0], row.shape[-1]
    if rows != 1 or width > MAX_WIDTH:
        raise Refused("features_not_copied")
    return row.toarray()
