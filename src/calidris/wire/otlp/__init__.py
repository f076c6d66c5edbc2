"""OTLP bytes to attributes, and the one place that decides which spans are ours."""

from calidris.wire.otlp.blocks import Block, Cells
from calidris.wire.otlp.size import LEAST_LARGE_BYTES, MAX_PARTS, has_too_many_parts
from calidris.wire.otlp.spans import Spans, read_spans

__all__ = ["LEAST_LARGE_BYTES", "MAX_PARTS", "Block", "Cells", "Spans", "has_too_many_parts", "read_spans"]
