"""What a call was given and what it answered, copied and packed: rows, blocks and labels on their way to the buffer."""

from calidris.instrument.rows.buffered_items import Block, Item, Row, Series

__all__ = ["Block", "Item", "Row", "Series"]
