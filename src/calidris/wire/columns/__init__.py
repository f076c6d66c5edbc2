"""Attributes to the columns of a batch: types are settled here, a whole column at a time."""

from calidris.wire.columns.batches import Batch, Origin, Refused, build
from calidris.wire.columns.merge import agreeing, joined, merge
from calidris.wire.columns.sort import sort_spans
from calidris.wire.columns.span_tables import Table

__all__ = ["Batch", "Origin", "Refused", "Table", "agreeing", "build", "joined", "merge", "sort_spans"]
