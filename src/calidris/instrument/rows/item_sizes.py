"""How large an item is that waits: its rows, and about how many bytes it holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from calidris.instrument.rows.buffered_items import Block, Item, Labels
from calidris.instrument.rows.input_table import NUMBER_BYTES, OBJECT_BYTES

ITEM_BYTES = 1_000
"""A block without a value: objects, names, dictionaries."""

ROW_BYTES = 100
"""A packed row without features: id, time, score, class."""

OBJECTS_OF_A_LABEL = 3
"""Id, label and time."""

SAMPLED = 16
"""Values of a column that are looked at."""


def model_of(item: Item) -> str:
    """Name of the model that an item is about."""
    if isinstance(item, tuple):
        return item[0].name
    return item.series.name if isinstance(item, Block) else item.model


def rows_of(item: Item) -> int:
    """How many rows or labels."""
    return 1 if isinstance(item, tuple) else item.rows


def bytes_of(item: Item) -> int:
    """About how many bytes it holds. A few µs."""
    if isinstance(item, tuple):
        vectors = item[-1] or ()
        return sum(map(len, vectors))
    if isinstance(item, Labels):
        objects = item.rows * OBJECTS_OF_A_LABEL
        return ITEM_BYTES + objects * OBJECT_BYTES
    columns = sum(map(column_bytes, _columns(item)))
    vector_bytes = item.rows * item.vector_bytes
    return ITEM_BYTES + columns + vector_bytes


def row_bytes_of(item: Item) -> int:
    """About how many bytes one of its rows takes when it is packed, at least 1."""
    if not isinstance(item, tuple):
        rows = max(1, item.rows)
        row_bytes = bytes_of(item) // rows
        return max(1, row_bytes)
    features = item[5]
    cells = len(features) if features else 0
    size = ROW_BYTES + NUMBER_BYTES * cells
    if item[-1] is None:
        return size
    return size + bytes_of(item)


def _columns(block: Block) -> Iterator[Any]:
    """All columns of a block; a matrix is one."""
    yield block.ids
    yield block.classes
    yield block.values
    if isinstance(block.scores, dict):
        yield from block.scores.values()
    else:
        yield block.scores
    for table in (block.features, block.slices):
        if table is not None:
            yield table.matrix
            yield from table.columns


def column_bytes(column: Any) -> int:
    """Bytes of a column: exact for an array; of objects by their number, and by the length of some where they are texts."""
    if column is None:
        return 0
    if hasattr(column, "nbytes"):
        return int(column.nbytes)
    object_bytes = OBJECT_BYTES + _mean_length(column)
    return len(column) * object_bytes


def _mean_length(column: Any) -> int:
    """Of the texts among a few values spread over a column: enough to tell a category from a document."""
    step = len(column) // SAMPLED + 1
    some = column[::step]
    lengths = [len(value) for value in some if type(value) in (str, bytes)]
    return sum(lengths) // max(1, len(some))
