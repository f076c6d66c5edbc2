"""How much one span and one request may hold. Every limit rejects the span that breaks it, never its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SECOND_NS: Final = 1_000_000_000
DAY_NS: Final = 86_400 * SECOND_NS

MAX_DIMENSION: Final = 4096
"""Numbers of one vector of an embedding."""


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Bounds on one span, and on how different the spans of one request may be.

    A model version costs a tenth of a millisecond to decode however few its rows are, a span of several rows half of that,
    a set of names twice that: beside what its bytes and spans cost, no request takes longer than about a second.

    Attributes:
        max_models: different model versions in a request.
        max_schemas: different sets of names among the one-row spans of a request.
        max_tables: spans of several rows in a request.
        max_rows: rows in a span.
        max_names: features, slices or classes in a span, each.
        max_levels: different strings in one column of a span.
        max_embedding_values: numbers of all embeddings of a span with several rows, 16 MiB of them.
        max_text: characters of a name, an id, a category.
        max_ahead_ns: how far a time may lie after the request's arrival; later ones are set to the arrival.
        max_age_ns: how far a time may lie before it; earlier ones are set to that bound.
    """

    max_models: int = 1_000
    max_schemas: int = 4_096
    max_tables: int = 8_192
    max_rows: int = 65_536
    max_names: int = 2_000
    max_levels: int = 10_000
    max_embedding_values: int = 1 << 22
    max_text: int = 1_024
    max_ahead_ns: int = 60 * SECOND_NS
    max_age_ns: int = 30 * DAY_NS


DEFAULT_LIMITS: Final = WireLimits()
