"""How large an item is that waits: its rows, and about how many bytes it holds."""

from __future__ import annotations

from typing import Any

from calidris.instrument.rows.buffered_items import Block, Item, Labels

ITEM_BYTES = 1_000
"""A block without a value: objects, names, dictionaries."""

OBJECT_BYTES = 60
"""A number, a short text or an id as a Python object, with its place in a list."""

ROW_BYTES = 100
"""A packed row without features: id, time, score, class."""

NUMBER_BYTES = 8
"""A packed number."""

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
    """About how many bytes; the same for the same item at any time. A few µs."""
    if isinstance(item, tuple):
        return sum(map(len, item[-1] or ()))
    if isinstance(item, Labels):
        return ITEM_BYTES + item.rows * 3 * OBJECT_BYTES
    return ITEM_BYTES + _outputs(item) + _tables(item) + item.rows * item.vector_bytes


def row_bytes_of(item: Item) -> int:
    """About how many bytes one of its rows takes when it is packed, at least 1."""
    if not isinstance(item, tuple):
        return max(1, bytes_of(item) // max(1, item.rows))
    features = item[5]
    cells = len(features) if features else 0
    size = ROW_BYTES + NUMBER_BYTES * cells
    return size if item[-1] is None else size + bytes_of(item)


def _outputs(block: Block) -> int:
    scores = block.scores.values() if isinstance(block.scores, dict) else (block.scores,)
    return sum(map(column_bytes, (block.ids, block.classes, block.values, *scores)))


def _tables(block: Block) -> int:
    tables = [table for table in (block.features, block.slices) if table is not None]
    parts = (table.columns if table.matrix is None else [table.matrix] for table in tables)
    return sum(column_bytes(column) for columns in parts for column in columns)


def column_bytes(column: Any) -> int:
    """Bytes of a column: exact for an array; of objects by their number, and by the length of some where they are texts."""
    if column is None:
        return 0
    if hasattr(column, "nbytes"):
        return int(column.nbytes)
    return len(column) * (OBJECT_BYTES + _text_length(column))


def _text_length(column: Any) -> int:
    """Mean length of the texts among a few values spread over a column: enough to tell a category from a document."""
    some = column[:: -(-len(column) // SAMPLED) or 1]
    return sum(len(one) for one in some if isinstance(one, (str, bytes))) // max(1, len(some))
