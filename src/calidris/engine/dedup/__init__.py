"""Requests and spans that came before are recognised, so that each counts once."""

from calidris.engine.dedup.memory import MAX_REQUESTS, SPAN_BYTES, RepeatMemory
from calidris.engine.dedup.spans import Repeated, once

__all__ = ["MAX_REQUESTS", "SPAN_BYTES", "RepeatMemory", "Repeated", "once"]
