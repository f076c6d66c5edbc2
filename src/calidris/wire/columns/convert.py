"""Raw columns to the columns of a batch: types are settled here, a whole column at a time.

Each function takes any column form of :mod:`calidris.wire.otlp.values` and raises :class:`Rejected` with the rows at
fault; without faults it touches no row in Python beyond building one array. A one-element column inside a column
counts as its element (so that a map of arrays may come one row at a time).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from types import NoneType
from typing import Any, Final

import numpy as np

from calidris.batch import CodedColumn, Floats, Ints, NumberColumn
from calidris.batch import Column as Typed
from calidris.score_tolerance import TOLERANCE
from calidris.wire.otlp.values import Column
from calidris.wire.rejections import BAD_WEIGHT, SCORE_OUT_OF_RANGE, UNEQUAL_LENGTH, WRONG_TYPE, Rejected, shown

_Kinds = frozenset[type[Any]]
_NUMBERS: Final[_Kinds] = frozenset({float, int, bool, NoneType})
_WHOLE: Final[_Kinds] = frozenset({int, NoneType})
_STRINGS: Final[_Kinds] = frozenset({str, NoneType})
_NAMES: Final[_Kinds] = frozenset({str, int, NoneType})
ANY: Final[_Kinds] = _NUMBERS | _STRINGS

_EXACT: Final = 2**53
"""Beyond it double precision does not know each whole number."""

_FURTHEST: Final = TOLERANCE + 1e-12
"""As 1 + 1e-4 is no double, what is written so lies a little further outside than the tolerance."""

FURTHEST_NS: Final = 2**62
"""Times and offsets beyond this (the year 2116) are cut to it, so that their sum stays an int64."""


class MixedKinds(Rejected):
    """A column holds numbers and strings; one-row spans may still be split by kind."""


def numbers(raw: Column) -> NumberColumn:
    """Numbers and booleans; NaN, infinity and None are missing.

    >>> numbers([1, True, None]).values.tolist()
    [1.0, 1.0, nan]
    """
    if isinstance(raw, np.ndarray):
        return NumberColumn.of(raw)
    if isinstance(raw, CodedColumn):
        _refuse(np.flatnonzero(raw.valid), WRONG_TYPE, "strings where numbers belong")
        return nothing(len(raw))
    found = doubles(raw)
    return NumberColumn.of(_settle(_without_blanks(raw), _NUMBERS, "a number") if found is None else found)


def strings(raw: Column) -> CodedColumn:
    """Categories: strings as they are, numbers and booleans by their shortest text; None is missing.

    >>> strings(["a", 3, 0.5, True, None]).strings()
    ['a', '3', '0.5', 'true', None]
    """
    if isinstance(raw, CodedColumn):
        return raw
    coded = None if isinstance(raw, np.ndarray) else _coded(raw)
    if coded is not None:
        return coded
    cells = raw.tolist() if isinstance(raw, np.ndarray) else _settle(raw, ANY, "a category")
    return CodedColumn.of(cells if set(map(type, cells)) <= _STRINGS else [_text(cell) for cell in cells])


def typed(raw: Column) -> Typed:
    """A column of whichever kind its values have; one without values is a :class:`NumberColumn`.

    Raises:
        MixedKinds: numbers and strings in one column; ``rows`` are the strings.
        Rejected: values that are neither.
    """
    found = uniform(raw)
    return found if isinstance(found, NumberColumn | CodedColumn) else mixed(found)


def uniform(raw: Column) -> Typed | Sequence[Any]:
    """The column of cells that all are of one kind, the usual case and the fast one; else the cells as they are."""
    if isinstance(raw, CodedColumn):
        return raw
    if isinstance(raw, np.ndarray):
        return NumberColumn.of(raw)
    numbers = doubles(raw)
    return (_coded(raw) or raw) if numbers is None else NumberColumn.of(numbers)


def mixed(raw: Sequence[Any]) -> Typed:
    """The column of cells that come in several forms; see ``typed``."""
    cells = _settle(raw, ANY, "a number or a string")
    if set(map(type, cells)) <= _STRINGS:
        return CodedColumn.of(cells)
    cells = _without_blanks(cells)
    texts = [row for row, cell in enumerate(cells) if type(cell) is str]
    if not texts:
        return NumberColumn.of(cells)
    first = texts[0]
    problem = f"numbers and strings in one column: row {first + 1} of {len(cells)} is {shown(cells[first])}"
    raise MixedKinds(WRONG_TYPE, problem, rows=texts)


def _without_blanks(cells: Sequence[Any]) -> Sequence[Any]:
    """Cells of which empty texts are missing, as many senders' arrays cannot hold a null."""
    return [None if type(cell) is str and not cell else cell for cell in cells]


def outcomes(raw: Column) -> Typed:
    """Decisions or labels: as ``typed``, but texts where there are whole numbers that double precision does not tell apart.

    >>> outcomes([2**53 + 1, 1]).strings(), outcomes([2**53]).values.tolist()
    (['9007199254740993', '1'], [9007199254740992.0])
    """
    return strings(raw) if _has_long(raw) else typed(raw)


def _has_long(raw: Column) -> bool:
    """Whether there are whole numbers that double precision does not know one by one."""
    if isinstance(raw, CodedColumn):
        return False
    if isinstance(raw, np.ndarray):
        return raw.dtype.kind == "i" and bool(((raw > _EXACT) | (raw < -_EXACT)).any())
    return any(type(cell) is int and abs(cell) > _EXACT for cell in raw)


def probabilities(raw: Column) -> tuple[NumberColumn, int]:
    """Numbers in [0, 1], and how many rounding errors outside were cut off."""
    column = numbers(raw)
    inside = np.clip(column.values, 0.0, 1.0)
    moved = column.valid & (inside != column.values)
    if not moved.any():
        return column, 0
    _refuse_far(column, inside)
    return _with_values(column, inside), int(np.count_nonzero(moved))


def _with_values(column: NumberColumn, values: Floats) -> NumberColumn:
    return NumberColumn(values, column.valid, column.non_finite)


def _refuse_far(column: NumberColumn, inside: Floats) -> None:
    """Refuse scores that lie too far outside for a rounding error."""
    distance = np.abs(inside - column.values)
    is_far = column.valid & (distance > _FURTHEST)
    rows: list[int] = np.flatnonzero(is_far).tolist()
    if rows:
        problem = _name_row(column, rows[0])
        raise Rejected(SCORE_OUT_OF_RANGE, problem, rows=rows)


def _name_row(column: NumberColumn, row: int) -> str:
    value = column.values[row]
    return f"row {row + 1} of {len(column)}: {value:.9g} lies outside [0, 1]"


def durations(raw: Column) -> NumberColumn:
    """Seconds; negative ones are missing."""
    column = numbers(raw)
    return NumberColumn(column.values, column.valid & (column.values >= 0.0), column.non_finite)


def weights(raw: Column) -> NumberColumn:
    """Numbers greater than 0."""
    column = numbers(raw)
    off = np.flatnonzero(column.valid & ~(column.values > 0.0))
    _refuse(off, BAD_WEIGHT, f"{column.values[off[:1]].tolist()} is not greater than 0")
    return column


def names(raw: Column) -> list[str]:
    """Ids: strings, and ints as their digits; a missing id is the empty string, which joins nothing."""
    if isinstance(raw, CodedColumn):
        return [name or "" for name in raw.strings()]
    if isinstance(raw, np.ndarray) and raw.dtype.kind != "i":
        raise Rejected(WRONG_TYPE, "packed floats where ids belong")
    cells = raw.tolist() if isinstance(raw, np.ndarray) else _settle(raw, _NAMES, "a string or an int")
    if set(map(type, cells)) == {str}:
        return list(cells)
    return ["" if cell is None else str(cell) for cell in cells]


def nanoseconds(raw: Column, default: Ints) -> Ints:
    """Whole nanoseconds, exact where ints were sent; missing ones are ``default``, huge ones are cut to ±2^62."""
    if isinstance(raw, list | tuple):
        cells = _settle(raw, _NUMBERS, "a number of nanoseconds")
        if set(map(type, cells)) <= _WHOLE:
            given = [fallback if cell is None else _cut(cell) for cell, fallback in zip(cells, default.tolist())]
            return np.array(given, dtype=np.int64)
    elif isinstance(raw, np.ndarray) and raw.dtype.kind == "i":
        return np.clip(raw.astype(np.int64, copy=False), -FURTHEST_NS, FURTHEST_NS)
    column = numbers(raw)
    whole: Floats = np.clip(np.where(column.valid, column.values, 0.0), -FURTHEST_NS, FURTHEST_NS)
    return np.where(column.valid, whole.astype(np.int64), default)


def nothing(rows: int) -> NumberColumn:
    """A column in which every row is missing."""
    return NumberColumn(np.full(rows, np.nan), np.zeros(rows, dtype=np.bool_))


def doubles(cells: Sequence[Any]) -> Floats | None:
    """Cells that are all numbers, booleans or None, as float64 with NaN for None; else nothing.

    ``struct`` both checks and converts, four times faster than numpy converts alone.
    """
    if not cells or type(cells[0]) is str:
        return None
    for attempt in (lambda: cells, lambda: [math.nan if cell is None else cell for cell in cells]):
        try:
            return np.frombuffer(struct.pack(f"{len(cells)}d", *attempt()))
        except (struct.error, TypeError, OverflowError):
            continue
    return None


def _coded(cells: Sequence[Any]) -> CodedColumn | None:
    """Cells that are all strings or None, coded in order of first appearance; else nothing.

    Looking at the types of the different cells is enough: a string equals only strings.
    """
    try:
        different = dict.fromkeys(cells)
    except TypeError:
        return None
    if not set(map(type, different)) <= _STRINGS:
        return None
    levels = tuple(level for level in different if level is not None)
    index = {None: -1, **dict(zip(levels, range(len(levels))))}
    return CodedColumn(levels, np.fromiter(map(index.__getitem__, cells), np.int32, len(cells)))


def _settle(cells: Sequence[Any], allowed: _Kinds, what: str) -> Sequence[Any]:
    """The cells if their types are allowed, opening one-element columns among them."""
    if set(map(type, cells)) <= allowed:
        return cells
    bare = [opened(cell) for cell in cells]
    bad = [row for row, cell in enumerate(bare) if type(cell) not in allowed]
    if bad:
        cell = bare[bad[0]]
        if isinstance(cell, list | np.ndarray | CodedColumn):
            raise Rejected(UNEQUAL_LENGTH, f"{len(cell)} rows, ml.prediction.count is 1", rows=bad)
        raise Rejected(WRONG_TYPE, f"{shown(cell)} is not {what}", rows=bad)
    return bare


def opened(cell: Any) -> Any:
    """A cell, or what the one-element column in its place holds."""
    if isinstance(cell, list) and len(cell) == 1:
        return cell[0]
    if isinstance(cell, np.ndarray) and len(cell) == 1:
        return cell.item()
    return cell.strings()[0] if isinstance(cell, CodedColumn) and len(cell) == 1 else cell


def _refuse(rows: Ints, reason: str, problem: str) -> None:
    if rows.size:
        raise Rejected(reason, problem, rows=rows.tolist())


def _text(cell: Any) -> str | None:
    if cell is None or type(cell) is str:
        return cell
    if type(cell) is bool:
        return "true" if cell else "false"
    if not math.isfinite(cell):
        return None
    return str(int(cell)) if cell == int(cell) else str(cell)


def _cut(whole: int) -> int:
    return max(-FURTHEST_NS, min(FURTHEST_NS, whole))
