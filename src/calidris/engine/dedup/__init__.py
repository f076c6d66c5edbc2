"""Requests and spans that came before are recognised, so that each counts once."""

from calidris.engine.dedup.memory import MAX_REQUESTS, SPAN_BYTES, DedupMemory, Repeated, drop_repeats

__all__ = ["MAX_REQUESTS", "SPAN_BYTES", "DedupMemory", "Repeated", "drop_repeats"]
