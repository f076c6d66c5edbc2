"""One-row spans that are alike, read a column at a time.

The spans of one service carry the same attributes in the same order, and differ in their values alone. Transposed, each
attribute is a column of serialised entries that begin with the same bytes, so that a look at the column stands for a look at
each of its cells::

    0a <len> key  12 09  21 <8 bytes>     all of one width and one beginning: the values are the last eight bytes of each
    few different entries                 each different one is read, the others are looked up
    0a <len> key  12 <len>  0a <len> …    one frame a width, and the text behind it
    0a <len> key  12 <len>  32 <len> …    maps: the same once more, for their entries

What a column holds is what :class:`~calidris.wire.otlp.attributes.AttributeReader` reads from each of its cells; where a column
does not fit, the spans are read one by one. A third of the cost for thirty attributes, and no dictionary a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError

from calidris.wire.otlp.attributes import DOUBLE_VALUE, MAP, ONLY_MAPS, TEXT, AttributeReader, frame
from calidris.wire.otlp.messages import Entries
from calidris.wire.rejections import Rejected

FEWEST: Final = 8
"""Spans of a block; fewer are read one by one."""

_REPEATED: Final = 4
"""A column whose cells occur so many times each on average is read by its different cells."""

Cells = list[Any] | np.ndarray[Any, np.dtype[np.float64]] | dict[str, Any]
"""A column: its cells, doubles as an array, a map as a dictionary of columns."""

Rows = Sequence[Sequence[bytes]]


@dataclass(slots=True)
class Block:
    """Spans with the same attributes.

    Attributes:
        spans: which ones, ascending.
        columns: attribute to its cells, in the order of the attributes.
    """

    spans: list[int]
    columns: dict[str, Cells]


def read_block(rows: Rows, reader: AttributeReader) -> dict[str, Cells] | None:
    """The wanted attributes of spans, as columns; None where the spans are not alike or one of them is at fault.

    Args:
        rows: the serialised attributes of each span, as many in each.
        reader: knows what is wanted; it learns here too.
    """
    columns: dict[str, Cells] = {}
    try:
        for cells in zip(*rows):
            name, column = _read_column(cells, reader)
            if name in columns:
                return None
            if name is not None:
                columns[name] = column
    except (_Unlike, Rejected):
        return None
    return columns


def alike(rows: Rows) -> list[list[int]]:
    """Places of rows whose entries have the same keys in the same order."""
    found: dict[tuple[bytes, ...], list[int]] = {}
    for place, row in enumerate(rows):
        found.setdefault(tuple([cell[: 2 + cell[1]] if len(cell) > 1 else cell for cell in row]), []).append(place)
    return list(found.values())


def opened(columns: Mapping[str, Cells]) -> Iterator[dict[str, Any]]:
    """The rows of columns, as the reader of single spans gives them."""
    names = list(columns)
    for cells in zip(*map(_cells, columns.values())):
        yield dict(zip(names, cells))


def _cells(column: Cells) -> Sequence[Any]:
    if isinstance(column, dict):
        return list(opened(column))
    return column.tolist() if isinstance(column, np.ndarray) else column


def joined(parts: Sequence[Cells]) -> Cells:
    """Columns of one name, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    maps = [part for part in parts if isinstance(part, dict)]
    if maps:
        return {name: joined([part[name] for part in maps]) for name in maps[0]}
    doubles = [part for part in parts if isinstance(part, np.ndarray)]
    if len(doubles) == len(parts):
        return np.concatenate(doubles)
    return [cell for part in parts for cell in _cells(part)]


def picked(column: Cells, order: Sequence[int]) -> Cells:
    """Some cells of a column, in that order."""
    if isinstance(column, dict):
        return {name: picked(inner, order) for name, inner in column.items()}
    return column[order] if isinstance(column, np.ndarray) else [column[place] for place in order]


class _Unlike(Exception):
    """Cells of one column have different keys."""


def _read_column(cells: tuple[bytes, ...], reader: AttributeReader) -> tuple[str | None, Cells]:
    """Name and cells of one column; no name where it is not wanted."""
    n, first = len(cells), cells[0]
    if cells.count(first) == n:
        wanted, name, value = reader.one(first)
        return (name, [value] * n) if wanted else (None, [])
    head = first[: 2 + first[1]] if len(first) > 1 else b""
    key = reader.key_of(head)
    widths = set(map(len, cells))
    if key and len(widths) == 1 and first.startswith(DOUBLE_VALUE, len(head)) and len(first) == len(head) + 11:
        return key, _doubles(cells, head + DOUBLE_VALUE)
    different = set(cells)
    if len(different) * _REPEATED > n and key:
        found = _texts(cells, head, widths) or _maps(cells, key, head, widths, reader)
        if found is not None:
            return key, found
    return _each(cells, {cell: reader.one(cell) for cell in different})


def _each(cells: tuple[bytes, ...], known: dict[bytes, tuple[bool, str, Any]]) -> tuple[str | None, Cells]:
    names = {name if wanted else None for wanted, name, _ in known.values()}
    if len(names) != 1:
        raise _Unlike
    values = {cell: value for cell, (_, _, value) in known.items()}
    return names.pop(), [values[cell] for cell in cells]


def _doubles(cells: tuple[bytes, ...], start: bytes) -> Cells:
    """The doubles of entries of one width, all of which must begin with the same bytes."""
    table = np.frombuffer(b"".join(cells), np.uint8).reshape(len(cells), -1)
    if not np.array_equal(table[:, :-8], np.broadcast_to(np.frombuffer(start, np.uint8), (len(cells), len(start)))):
        raise _Unlike
    return np.ascontiguousarray(table[:, -8:]).view("<f8")[:, 0].astype(np.float64, copy=False)


def _behind(cells: tuple[bytes, ...], head: bytes, widths: set[int], kind: bytes) -> list[bytes] | None:
    """What follows the frame of each entry; None where one is not framed like that."""
    frames = {width: frame(head, width, kind) for width in widths}
    if not all(frames.values()) or not all(cell.startswith(frames[len(cell)]) for cell in cells):
        return None
    return [cell[len(frames[len(cell)]) :] for cell in cells]


def _texts(cells: tuple[bytes, ...], head: bytes, widths: set[int]) -> Cells | None:
    found = _behind(cells, head, widths, TEXT)
    try:
        return None if found is None else [text.decode() for text in found]
    except UnicodeDecodeError:
        raise _Unlike from None


def _maps(cells: tuple[bytes, ...], key: str, head: bytes, widths: set[int], reader: AttributeReader) -> Cells | None:
    if reader.in_map or key not in ONLY_MAPS:
        return None
    bodies = _behind(cells, head, widths, MAP)
    try:
        rows = [] if bodies is None else [Entries.FromString(body).values[:] for body in bodies]
    except DecodeError:
        return None
    sizes = set(map(len, rows))
    # With one or two entries each may be a packed or coded column, which is no map.
    return read_block(rows, reader.inside) if len(sizes) == 1 and min(sizes) > 2 else None
